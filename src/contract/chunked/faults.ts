// Faults that a bench server makes on purpose in a chunked download, to test that a device ends it in a defined way.

export const CHUNK_FAULTS = {
  'corrupt-chunk': { each: 'chunk', title: 'one byte of the data is changed' },
  'bad-hmac': { each: 'chunk', title: 'one byte of the HMAC is changed' },
  'bad-hash': { each: 'check', title: 'the announced digest is not that of the image' },
  'bad-signature': { each: 'check', title: 'one byte of the signature is changed' },
  timeout: { each: 'answer', title: 'the chunks come one minute late' },
  truncate: { each: 'answer', title: 'the answer ends within its last chunk' },
  replay: { each: 'answer', title: 'the previous answer comes again' },
  'wrong-order': { each: 'answer', title: 'the last chunk of an answer comes first' },
} as const;
export type ChunkFault = keyof typeof CHUNK_FAULTS;
export const CHUNK_FAULT_NAMES = Object.keys(CHUNK_FAULTS) as readonly ChunkFault[];

/** Probability of each fault at each opportunity: 0 to 1. */
export type ChunkFaultRates = Readonly<Partial<Record<ChunkFault, number>>>;

/** Parses `NAME` or `NAME=RATE`; undefined for an invalid text. */
export function parseChunkFault(text: string): readonly [ChunkFault, number] | undefined {
  const [, name, rate] = /^([a-z-]+)(?:=(\d{1,3}(?:\.\d{1,6})?|\.\d{1,6}))?$/.exec(text) ?? [];
  const known = CHUNK_FAULT_NAMES.find((each) => each === name);
  const value = rate === undefined ? 1 : Number(rate);
  return known === undefined || value > 1 ? undefined : [known, value];
}
