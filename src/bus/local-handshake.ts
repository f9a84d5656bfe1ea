// The first line each way between a process and the broker of a local bus, as JSON. Without zod: threads load this file.

/** Version of the protocol; a broker of another version refuses. */
export const PROTOCOL_VERSION = 1;

/** Longest first line in bytes; a longer one is not a handshake. */
export const MAX_HANDSHAKE_BYTES = 4096;

/** The first line of a client. Without a bit rate the client accepts any. */
export interface Hello {
  readonly canOta: number;
  /** Identifies the client when it connects again. */
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
  /** Nominal bit rate in bit/s; 0: the wire is not paced. */
  readonly bitrate: number;
  readonly dataBitrate: number;
  /** What this client missed because it was cut off. */
  readonly cutOff?: { readonly frames: number; readonly reason: string };
}

interface Refused {
  readonly canOta: number;
  readonly refused: 'CONFIG_MISMATCH' | 'BROKER';
  readonly reason: string;
}

/** The members of a line before they are checked. */
type Unchecked<T> = { readonly [Key in keyof T]?: unknown };

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function isOptionalNumber(value: unknown): boolean {
  return value === undefined || isNumber(value);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseObject(line: string): object | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined when the line is not a greeting. Without zod, because loading it would double the time of a takeover. */
export function parseHello(line: string): Hello | undefined {
  const hello = parseObject(line);
  return hello !== undefined && isHello(hello) ? hello : undefined;
}

function isHello(hello: Unchecked<Hello>): hello is Hello {
  return (
    isNumber(hello.canOta) &&
    isNumber(hello.pid) &&
    typeof hello.client === 'string' &&
    hello.client.length <= 64 &&
    isOptionalNumber(hello.bitrate) &&
    isOptionalNumber(hello.dataBitrate)
  );
}

/** Undefined when the line is not the answer of a broker. */
export function parseWelcome(line: string): Welcome | undefined {
  const welcome = parseObject(line);
  if (welcome === undefined) return undefined;
  return isRefused(welcome) || isAccepted(welcome) ? welcome : undefined;
}

function isRefused(welcome: Unchecked<Refused>): welcome is Refused {
  const { canOta, refused, reason } = welcome;
  const known = refused === 'CONFIG_MISMATCH' || refused === 'BROKER';
  return isNumber(canOta) && known && typeof reason === 'string';
}

function isAccepted(welcome: Unchecked<Accepted & { refused: never }>): welcome is Accepted {
  const { canOta, pid, bitrate, dataBitrate, cutOff, refused } = welcome;
  if (refused !== undefined || !isNumber(canOta)) return false;
  if (!isNumber(bitrate) || !isNumber(dataBitrate) || !isNumber(pid)) return false;
  return cutOff === undefined || (isObject(cutOff) && isCutOff(cutOff));
}

function isCutOff(cutOff: Unchecked<NonNullable<Accepted['cutOff']>>): boolean {
  return isNumber(cutOff.frames) && typeof cutOff.reason === 'string';
}

/** The name in Linux's abstract namespace, which ends with its process and leaves no file. Each user has a namespace. */
export function brokerPath(name: string): string {
  return `\0can-ota/${process.getuid?.() ?? 0}/${name}`;
}
