// The answer to a request of a tool, read to its end and judged: ours, a refusal of ours, or something of the network.

import { MAX_ANSWER_BYTES } from '../contract/endpoint.ts';
import { describeError } from '../core/errors.ts';
import {
  type Expected,
  FOREIGN_ADVICE,
  foreignHead,
  foreignMetadata,
  readProblem,
} from './foreign-answer.ts';
import { type LimitedAnswer, LimitedBytes, readUpTo } from './limited-answer.ts';
import { answerAdvice } from './link-error.ts';

/** A page that is not ours is read no further, for what it says. */
const MAX_ADVICE_BYTES = 4096;

export type JudgedAnswer =
  | { readonly kind: 'answer'; readonly status: number; readonly body: Uint8Array }
  /** The backend refuses. */
  | {
      readonly kind: 'refusal';
      readonly status: number;
      readonly code: string;
      readonly detail: string;
    }
  /** Not from our backend. `why`: what shows it, and what to do. */
  | { readonly kind: 'foreign'; readonly status: number; readonly why: string }
  /** The connection ended before the answer did. */
  | { readonly kind: 'cut'; readonly why: string };

/** `maxBytes`: of an answer of ours. Throws what `signal` says. */
export async function judgeAnswer(
  response: Response,
  {
    url,
    expects,
    maxBytes = MAX_ANSWER_BYTES,
    signal,
  }: {
    readonly url: URL;
    readonly expects: Extract<Expected, 'json' | 'order' | 'metadata'>;
    readonly maxBytes?: number | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<JudgedAnswer> {
  const { status } = response;
  const headers = Object.fromEntries(response.headers);
  const foreign = (what: string, advice = FOREIGN_ADVICE): JudgedAnswer => ({
    kind: 'foreign',
    status,
    why: `${url.origin}${url.pathname} answered ${status}, ${what}; ${advice}`,
  });
  const strange = foreignHead({ status, headers }, expects);
  const read = await bytesOf(response, strange === undefined ? maxBytes : MAX_ADVICE_BYTES, signal);
  if (strange !== undefined) {
    // What came of the page is enough, cut or not.
    const text = new TextDecoder().decode(read.bytes);
    return foreign(strange, answerAdvice(status, headers.location, text, url));
  }
  if (read.kind === 'cut') return { kind: 'cut', why: read.why };
  if (read.kind === 'long') return foreign(`it is longer than ${maxBytes} bytes`);
  const { bytes: body } = read;
  if (status >= 400) {
    const { code, detail, foreign: other } = readProblem(status, body);
    return other === undefined ? { kind: 'refusal', status, code, detail } : foreign(other);
  }
  const other = expects === 'metadata' ? foreignMetadata(body) : undefined;
  return other === undefined ? { kind: 'answer', status, body } : foreign(other);
}

type Read =
  | LimitedAnswer
  | { readonly kind: 'cut'; readonly bytes: Uint8Array; readonly why: string };

/** Up to `maxBytes`; the rest is not waited for. */
async function bytesOf(
  response: Response,
  maxBytes: number,
  signal: AbortSignal | undefined,
): Promise<Read> {
  const read = new LimitedBytes(maxBytes);
  const pieces = response.body?.values();
  try {
    return await readUpTo(maxBytes, async () => (await pieces?.next())?.value, read);
  } catch (error) {
    if (signal?.aborted === true) throw error;
    return { kind: 'cut', bytes: read.bytes, why: `the answer was cut: ${describeError(error)}` };
  } finally {
    await pieces?.return?.().catch(() => {});
  }
}
