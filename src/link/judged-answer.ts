// Reads the answer to a request of a tool and classifies it: an answer or refusal of our backend, foreign, or cut.

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

/** How much of a foreign page is read for its message. */
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
  /** The answer is not from our backend. `why`: the evidence, and what to do. */
  | { readonly kind: 'foreign'; readonly status: number; readonly why: string }
  /** The connection broke before the end of the answer. */
  | { readonly kind: 'cut'; readonly why: string };

/** Reads and classifies. `maxBytes`: limit of an answer of our backend. Throws the reason of an aborted `signal`. */
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
    // The received part of the page is enough, even if it was cut.
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

/** Reads up to `maxBytes` and does not wait for the rest. */
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
