// Checks whether an answer comes from a can-ota backend, for all HTTP of vehicles, small devices and tools.
//
// A wrong answer is foreign (a log-in page, a proxy, another server), cut, or swapped (right form, other bytes). The
// network causes the first two: a later try helps, and they prove nothing. Signatures and hashes detect the third.

import { z } from 'zod';
import { JSON_TYPE, OCTETS_TYPE, signedObject } from '../contract/fields.ts';
import { PROBLEM_TYPE, problemDetails } from '../contract/problem.ts';
import { firstIssue } from '../core/schema-issue.ts';
import { SEALED_TYPE } from '../trust/sealed-session.ts';

/** The expected form of an answer; refusals (problem details, RFC 9457) are always possible. */
export type Expected =
  /** 200 with JSON, or 304 where a tag was sent. */
  | 'json'
  /** 200, 201 or 202 with JSON: the answer to an order of a tool. */
  | 'order'
  /** 204 without a body. */
  | 'nothing'
  /** 200 with a metadata file of a repository, from any web server. */
  | 'metadata'
  /** The same, where 404 of any web server means that the file does not exist. */
  | 'optional-metadata'
  /** 200 with bytes, or 206 where a range was requested; from any web server. */
  | 'image'
  /** A sealed message with any status. */
  | 'sealed'
  /** 200 with records that are each authenticated, or a sealed refusal. */
  | 'records'
  /** Any answer: only its existence counts. */
  | 'anything';

export interface Head {
  readonly status: number;
  /** Header fields with names in lower case. */
  readonly headers: NodeJS.Dict<string | string[]>;
}

/** An answer of the network in place of the backend. */
export interface ForeignAnswer {
  readonly kind: 'failed';
  readonly code: 'FOREIGN_ANSWER';
  readonly reason: string;
  readonly transient: true;
}

const PAGE = /^(?:text\/html|application\/xhtml\+xml)$/;
/** Media types that no web server uses for an image. */
const NO_IMAGE = /^(?:text\/(?!plain$)|multipart\/)|[/+](?:json|xml|javascript)$|xhtml/;

/** Texts of any problem or sealed refusal, for messages only. */
const wordsSchema = z.object({
  code: z.string().max(64).optional(),
  title: z.string().max(200).optional(),
  detail: z.string().optional(),
});

/** Why the head of an answer cannot come from our backend; undefined where it can. `asked`: headers of the request. */
export function foreignHead(
  { status, headers }: Head,
  expected: Expected,
  asked: Readonly<Record<string, string>> = {},
): string | undefined {
  if (expected === 'anything') return undefined;
  const { type, charset } = contentType(headers);
  const encoding = one(headers['content-encoding'])?.trim().toLowerCase() ?? '';
  if (encoding !== '' && encoding !== 'identity') {
    return `it is compressed (${shown(encoding)}), which was not asked for`;
  }
  if (status === 404 && expected === 'optional-metadata') return undefined;
  // A sealed message authenticates the status.
  if (isSealed(expected) && type === SEALED_TYPE) return undefined;
  if (status >= 400) {
    if (type === PROBLEM_TYPE) return undefined;
    return `a refusal of type ${shown(type)}, expected ${PROBLEM_TYPE}`;
  }
  const isExpected =
    status === (expected === 'nothing' ? 204 : 200) ||
    ([201, 202].includes(status) && expected === 'order') ||
    (status === 206 && expected === 'image' && asked.range !== undefined) ||
    (status === 304 && expected === 'json' && asked['if-none-match'] !== undefined);
  if (!isExpected) {
    const location = one(headers.location);
    // An image can be in another store: see follow-redirects.ts.
    if (expected === 'image' && location !== undefined) return undefined;
    return location === undefined
      ? 'nothing was asked that it answers'
      : `it points to ${shown(location)}`;
  }
  if (status === 304 || expected === 'nothing') return undefined;
  if (charset !== undefined && !/^"?(?:utf-?8|us-ascii)"?$/.test(charset) && expected !== 'image') {
    return `its character set is ${shown(charset)}`;
  }
  return isOfType(type, expected) ? undefined : `its type is ${shown(type)}`;
}

/** Whether the type is that of an image. Another web server may send none; then only length and hash are checked. */
export function isOctets(headers: Head['headers']): boolean {
  return contentType(headers).type === OCTETS_TYPE;
}

/** Whether the type is that of our refusals; see `readProblem`. */
export function isProblem(headers: Head['headers']): boolean {
  return contentType(headers).type === PROBLEM_TYPE;
}

/**
 * Why the bytes are not a metadata file of a repository, or only the beginning of one; undefined for any signed object.
 * Verification checks the signatures later.
 */
export function foreignMetadata(bytes: Uint8Array): string | undefined {
  const parsed = signedObject.safeParse(jsonOf(bytes));
  return parsed.success ? undefined : `no signed JSON object: ${beginning(bytes)}`;
}

/** The same for the first bytes of an answer that is longer or slower than a file may be. */
export function foreignBeginning(bytes: Uint8Array): string | undefined {
  const text = new TextDecoder().decode(bytes.subarray(0, 256)).trimStart();
  const isPage = text.startsWith('<');
  const isOtherObject = /^\{\s*"(?!signed"|signatures")[^"]*"/.test(text);
  return isPage || isOtherObject ? `no signed JSON object: ${beginning(bytes)}` : undefined;
}

/** General advice for a foreign answer. */
export const FOREIGN_ADVICE =
  'check --server, and whether the network wants a log-in or a proxy is in between';

/** The failure for a foreign answer. `advice` replaces the general advice. */
export function foreignAnswer(
  url: URL,
  what: string,
  status?: number,
  advice = FOREIGN_ADVICE,
): ForeignAnswer {
  const said = status === undefined ? 'sent something' : `answered ${status}`;
  return {
    kind: 'failed',
    code: 'FOREIGN_ANSWER',
    reason: `${url.origin}${url.pathname} ${said} that does not come from a can-ota server: ${what}; ${advice}`,
    transient: true,
  };
}

/** Parses the body of an answer that must be JSON of this form. */
export function parseJson<T extends z.ZodType>(
  body: Uint8Array,
  schema: T,
  url: URL,
): { readonly value: z.output<T> } | ForeignAnswer {
  const json = jsonOf(body);
  if (json === undefined) return foreignAnswer(url, `no JSON: ${beginning(body)}`);
  const parsed = schema.safeParse(json);
  if (parsed.success) return { value: parsed.data };
  const issue = firstIssue(parsed.error);
  return foreignAnswer(url, `${issue.path.join('.')}: ${issue.message}`);
}

/** The content of a refusal. */
export interface ReadProblem {
  /** Stable code; empty where it has none. */
  readonly code: string;
  /** A sentence for people; empty where it has none. */
  readonly detail: string;
  /** Why the refusal is not from our backend; undefined where it is. Not checked for a sealed refusal. */
  readonly foreign: string | undefined;
}

/** Reads a refusal: our problem details, those of another server, or the content of a sealed refusal. */
export function readProblem(status: number, body: Uint8Array): ReadProblem {
  const json = jsonOf(body);
  const ours = problemDetails.safeParse(json);
  const { code = '', title = '', detail = title } = wordsSchema.safeParse(json).data ?? {};
  const said = { code, detail: detail.replace(/\p{Cc}/gu, ' ') };
  if (!ours.success) return { ...said, foreign: 'its refusal has another form' };
  const isForOther = ours.data.status !== status;
  return { ...said, foreign: isForOther ? 'its refusal is for another status' : undefined };
}

/** The code and the beginning of the sentence, for messages. */
export function problemText({ code, detail }: ReadProblem): string {
  return [code, detail.slice(0, 500)].filter((part) => part !== '').join(': ');
}

function isOfType(type: string, expected: Exclude<Expected, 'nothing' | 'anything'>): boolean {
  switch (expected) {
    case 'json':
    case 'order':
      // A proxy may have removed the type; then the form of the body decides.
      return type === JSON_TYPE || type === '';
    case 'metadata':
    case 'optional-metadata':
      return !PAGE.test(type);
    case 'image':
      return !NO_IMAGE.test(type);
    case 'sealed':
      return false;
    case 'records':
      return type === OCTETS_TYPE;
  }
}

function isSealed(expected: Expected): boolean {
  return expected === 'sealed' || expected === 'records';
}

function contentType(headers: Head['headers']): { type: string; charset: string | undefined } {
  const [type = '', ...parameters] = (one(headers['content-type']) ?? '').toLowerCase().split(';');
  const charset = parameters
    .map((parameter) => parameter.trim())
    .find((parameter) => parameter.startsWith('charset='))
    ?.slice('charset='.length);
  return { type: type.trim(), charset };
}

function one(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0];
}

function jsonOf(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    return undefined;
  }
}

function beginning(bytes: Uint8Array): string {
  return shown(new TextDecoder().decode(bytes.subarray(0, 40)));
}

/** Foreign text for a message: shortened, without control characters. */
function shown(text: string): string {
  return text === '' ? 'nothing' : JSON.stringify(text.slice(0, 200).replace(/\p{C}/gu, ' '));
}
