// Configuration of one ISO-TP connection, with the defaults of ISO 15765-2 and ISO 15765-4.

export interface IsoTpConfig {
  /** TX_DL and bit-rate switch of CAN FD frames; false: classic frames. */
  readonly fd: false | { readonly txDl: number; readonly brs: boolean };
  /** Fill byte up to 8 bytes; null: no padding (CAN FD frames above 8 bytes are always padded). */
  readonly padding: number | null;
  /** Consecutive frames that we accept per flow control; 0: no limit. `auto` fits the receive burst of the bus. */
  readonly blockSize: number | 'auto';
  /** The STmin byte that we ask for. */
  readonly stMin: number;
  /** As sender: STmin byte of the least separation of our consecutive frames, whatever the receiver asks for. */
  readonly sendStMin: number;
  /** Longer messages are answered with overflow and refused by `send`. */
  readonly maxMessageLength: number;
  /** N_WFTmax: FC.WAIT frames in a row that we send as receiver before giving up. */
  readonly wftMax: number;
  /** As sender: longest total wait for one message while its receiver answers with FC.WAIT; N_Bs counts for each. */
  readonly waitLimitMs: number;
  /** Longest time from a frame's request to its confirmation, as sender and as receiver. */
  readonly nAsMs: number;
  readonly nArMs: number;
  /** Longest wait for a flow control. */
  readonly nBsMs: number;
  /** Longest wait for a consecutive frame. */
  readonly nCrMs: number;
  /** While the receiver is not ready: pause between two FC.WAIT. N_Br + N_Ar stays below 0.9 N_Bs. */
  readonly nBrMs: number;
  /** Extra pause before each consecutive frame on top of the receiver's STmin (N_Cs + N_As below 0.9 N_Cr). */
  readonly nCsMs: number;
}

export const defaultIsoTpConfig: IsoTpConfig = {
  fd: false,
  padding: 0xcc,
  blockSize: 'auto',
  stMin: 0,
  sendStMin: 0,
  maxMessageLength: 0x10_0000,
  wftMax: 10,
  waitLimitMs: 25_000,
  nAsMs: 1000,
  nArMs: 1000,
  nBsMs: 1000,
  nCrMs: 1000,
  nBrMs: 400,
  nCsMs: 0,
};

/** Bytes of payload in a full consecutive frame. */
export function consecutivePayload(config: IsoTpConfig, addressBytes: number): number {
  return txDl(config) - 1 - addressBytes;
}

/** TX_DL: 8 for classic CAN. */
export function txDl(config: IsoTpConfig): number {
  return config.fd === false ? 8 : config.fd.txDl;
}

/** The connection in the description of an ECU; both ends make the same configuration of it. */
export interface TransportSpec {
  readonly fd: IsoTpConfig['fd'];
  readonly transport: Pick<IsoTpConfig, 'blockSize' | 'stMin' | 'sendStMin' | 'padding'>;
  readonly timing: Pick<IsoTpConfig, 'waitLimitMs'>;
}

export function transportConfig({ fd, transport, timing }: TransportSpec): Partial<IsoTpConfig> {
  const { blockSize, stMin, sendStMin, padding } = transport;
  const { waitLimitMs } = timing;
  return { fd, blockSize, stMin, sendStMin, padding, waitLimitMs };
}
