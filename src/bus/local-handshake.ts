// The first line each way between a process and the broker of a local bus, as JSON. Free of zod: threads load this.

/** Version of the protocol; a broker of another version refuses. */
export const PROTOCOL_VERSION = 1;

/** A longer first line is no handshake. */
export const MAX_HANDSHAKE_BYTES = 4096;

/** The first line of a client. A bit rate that it leaves out may be any. */
export interface Hello {
  readonly canOta: number;
  /** Tells a client that comes back from a new one. */
  readonly client: string;
  readonly pid: number;
  readonly bitrate?: number;
  readonly dataBitrate?: number;
}

/** The first line of the broker. */
export type Welcome = Accepted | Refused;

export interface Accepted {
  readonly canOta: number;
  readonly pid: number;
  /** bit/s; 0: the wire is not paced. */
  readonly bitrate: number;
  readonly dataBitrate: number;
  /** What this client missed because it was cut off. */
  readonly cutOff?: { readonly frames: number; readonly reason: string };
}

export interface Refused {
  readonly canOta: number;
  readonly refused: 'CONFIG_MISMATCH' | 'BROKER';
  readonly reason: string;
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function isOptionalNumber(value: unknown): boolean {
  return value === undefined || isNumber(value);
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return value as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** Undefined when the line is no greeting. Loading zod would double the time that a takeover takes. */
export function parseHello(line: string): Hello | undefined {
  const hello = parseObject(line);
  const good =
    hello !== undefined &&
    isNumber(hello.canOta) &&
    isNumber(hello.pid) &&
    typeof hello.client === 'string' &&
    hello.client.length <= 64 &&
    isOptionalNumber(hello.bitrate) &&
    isOptionalNumber(hello.dataBitrate);
  return good ? (hello as unknown as Hello) : undefined;
}

/** Undefined when the line is no answer of a broker. */
export function parseWelcome(line: string): Welcome | undefined {
  const welcome = parseObject(line);
  if (welcome === undefined || !isNumber(welcome.canOta)) return undefined;
  const { refused, cutOff } = welcome;
  if (refused !== undefined) {
    const known = refused === 'CONFIG_MISMATCH' || refused === 'BROKER';
    return known && typeof welcome.reason === 'string'
      ? (welcome as unknown as Refused)
      : undefined;
  }
  if (!isNumber(welcome.bitrate) || !isNumber(welcome.dataBitrate)) return undefined;
  if (!isNumber(welcome.pid)) return undefined;
  if (cutOff !== undefined) {
    const told = cutOff as Record<string, unknown> | null;
    if (typeof told !== 'object' || told === null) return undefined;
    if (!isNumber(told.frames) || typeof told.reason !== 'string') return undefined;
  }
  return welcome as unknown as Accepted;
}

/** The name in Linux's abstract namespace: no file, gone with its process. One namespace a user. */
export function brokerPath(name: string): string {
  return `\0can-ota/${process.getuid?.() ?? 0}/${name}`;
}
