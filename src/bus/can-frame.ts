// A CAN frame: CAN 2.0 with 11 or 29 bit identifier, CAN FD with bit-rate switch. ISO 11898-1.

/** Flags as they stand on the wire. `data` is at most 8 bytes, for FD one of `FD_LENGTHS`. */
export interface CanFrame {
  readonly id: number;
  /** 29 bit identifier (IDE). */
  readonly extended: boolean;
  readonly data: Uint8Array;
  /** CAN FD frame format (FDF). */
  readonly fd: boolean;
  /** Bit-rate switch: the data phase runs at the data bit rate. FD only. */
  readonly brs: boolean;
  /** Remote transmission request; classic only, `data` is empty. */
  readonly remote: boolean;
}

/** The payload lengths that a CAN FD frame can carry. */
export const FD_LENGTHS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64] as const;

/** The smallest FD length that holds `length` bytes; throws RangeError above 64. */
export function fdLength(length: number): number {
  for (const candidate of FD_LENGTHS) if (candidate >= length) return candidate;
  throw new RangeError(`a CAN FD frame carries at most 64 bytes, not ${length}`);
}

export function classicFrame(id: number, data: Uint8Array, extended = false): CanFrame {
  return { id, extended, data, fd: false, brs: false, remote: false };
}

export function fdFrame(id: number, data: Uint8Array, extended = false, brs = true): CanFrame {
  return { id, extended, data, fd: true, brs, remote: false };
}

/** Says what is wrong with a frame, undefined when it can be sent. Checked before every send. */
export function frameFault(frame: CanFrame): string | undefined {
  const maxId = frame.extended ? 0x1fffffff : 0x7ff;
  if (!Number.isInteger(frame.id) || frame.id < 0 || frame.id > maxId) {
    return `identifier ${frame.id} is outside 0..0x${maxId.toString(16)}`;
  }
  if (frame.fd) {
    if (frame.remote) return 'CAN FD has no remote frames';
    if (!(FD_LENGTHS as readonly number[]).includes(frame.data.length)) {
      return `${frame.data.length} bytes is no CAN FD length (${FD_LENGTHS.join(' ')})`;
    }
    return undefined;
  }
  if (frame.brs) return 'only CAN FD frames switch the bit rate';
  if (frame.remote && frame.data.length > 0) return 'a remote frame carries no data';
  if (frame.data.length > 8)
    return `a classic frame carries at most 8 bytes, not ${frame.data.length}`;
  return undefined;
}

/** `7E8#0662F195`, `18DA10F1#...`, `7E0##1...`: the notation of can-utils. */
export function frameText(frame: CanFrame): string {
  const id = frame.id
    .toString(16)
    .toUpperCase()
    .padStart(frame.extended ? 8 : 3, '0');
  if (frame.remote) return `${id}#R`;
  const data = Buffer.from(frame.data).toString('hex').toUpperCase();
  return frame.fd ? `${id}##${frame.brs ? 1 : 0}${data}` : `${id}#${data}`;
}

/** Reads the notation of `frameText`; undefined for any other text. */
export function parseFrameText(text: string): CanFrame | undefined {
  const match =
    /^([0-9A-Fa-f]{3}|[0-9A-Fa-f]{8})#(?:(R\d?)|#([0-9A-Fa-f])((?:[0-9A-Fa-f]{2})*)|((?:[0-9A-Fa-f]{2}\.?)*))$/.exec(
      text,
    );
  if (match === null) return undefined;
  const [, idText = '', remote, flags, fdData, data] = match;
  const frame: CanFrame = {
    id: Number.parseInt(idText, 16),
    extended: idText.length === 8,
    data: Uint8Array.from(Buffer.from((fdData ?? data ?? '').replaceAll('.', ''), 'hex')),
    fd: flags !== undefined,
    brs: flags !== undefined && (Number.parseInt(flags, 16) & 1) === 1,
    remote: remote !== undefined,
  };
  return frameFault(frame) === undefined ? frame : undefined;
}
