// What a bench server can do wrong on purpose in a chunked download, to see that every device ends it in a defined way.

export const CHUNK_FAULTS = {
  'corrupt-chunk': { each: 'chunk', title: 'one byte of the data is another one' },
  'bad-hmac': { each: 'chunk', title: 'one byte of the HMAC is another one' },
  'bad-hash': { each: 'check', title: 'the digest that is announced is not that of the image' },
  'bad-signature': { each: 'check', title: 'one byte of the signature is another one' },
  timeout: { each: 'answer', title: 'the chunks come a minute late' },
  truncate: { each: 'answer', title: 'the answer ends within its last chunk' },
  replay: { each: 'answer', title: 'the answer before comes again' },
  'wrong-order': { each: 'answer', title: 'the last chunk of an answer comes first' },
} as const;
export type ChunkFault = keyof typeof CHUNK_FAULTS;
export const CHUNK_FAULT_NAMES = Object.keys(CHUNK_FAULTS) as readonly ChunkFault[];

/** How probable each of them is, every time that it could be: 0 to 1. */
export type ChunkFaultRates = Readonly<Partial<Record<ChunkFault, number>>>;

/** `NAME` or `NAME=RATE`. Undefined for what is none. */
export function parseChunkFault(text: string): readonly [ChunkFault, number] | undefined {
  const [, name, rate] = /^([a-z-]+)(?:=(\d{1,3}(?:\.\d{1,6})?|\.\d{1,6}))?$/.exec(text) ?? [];
  const known = CHUNK_FAULT_NAMES.find((each) => each === name);
  const value = rate === undefined ? 1 : Number(rate);
  return known === undefined || value > 1 ? undefined : [known, value];
}
