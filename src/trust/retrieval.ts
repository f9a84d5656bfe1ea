// How the checks request files without knowing their source: a step requests, its owner answers.

import { accepted, refused, type Verdict } from './attack.ts';
import { quoted } from './strict-json.ts';

/** `file` may be used in a URL and as a file name: role names in it are percent-encoded. */
export interface MetadataRequest {
  readonly role: string;
  readonly file: string;
  /** Longest answer; the owner need not read more. */
  readonly maxBytes: number;
  /** The file may be missing (the next Root). */
  readonly optional: boolean;
}

export type MetadataAnswer =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'missing' }
  | { readonly kind: 'too-long' }
  | { readonly kind: 'too-slow' };

/** A check that requests files. */
export type Steps<T, R = MetadataRequest> = Generator<R, Verdict<T>, MetadataAnswer>;

/** Name of a role's file, unversioned. A role name may contain anything, but its file name must not leave a folder. */
export function fileOf(role: string): string {
  const encoded = encodeURIComponent(role).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `${encoded}.json`;
}

export function versionedFileOf(role: string, version: number): string {
  return `${version}.${fileOf(role)}`;
}

/** Longest file name: with the longest version before it and `.new` after it, it has 255 bytes, as file systems allow. */
const MAX_FILE_NAME = 234;

/**
 * MALFORMED for a delegated role without a possible file name: an empty role name, or one that is too long for a file
 * system. Percent encoding makes three bytes of each byte beyond ASCII.
 */
export function checkRoleName(role: string): Verdict<void> {
  if (role === '') return refused('MALFORMED', 'delegations', 'a delegated role has no name');
  const { length } = fileOf(role);
  if (length <= MAX_FILE_NAME) return accepted(undefined);
  const reason = `role name ${quoted(role)} makes a file name of ${length} bytes, at most ${MAX_FILE_NAME} are possible: give the role a shorter name`;
  return refused('MALFORMED', 'delegations', reason);
}

/** Requests one file. Undefined for an optional file that is missing. */
export function* fetchFile(request: MetadataRequest): Steps<Uint8Array | undefined> {
  const where = request.role;
  const answer = yield request;
  switch (answer.kind) {
    case 'bytes':
      if (answer.bytes.length <= request.maxBytes) return accepted(answer.bytes);
      return tooLong(request);
    case 'too-long':
      return tooLong(request);
    case 'too-slow':
      return refused('SLOW_RETRIEVAL', where, `${request.file} comes too slowly`);
    default:
      return request.optional ? accepted(undefined) : missing(request);
  }
}

export type RequiredRequest = Omit<MetadataRequest, 'optional'>;

/** Requests one file that must exist. */
export function* fetchRequired(request: RequiredRequest): Steps<Uint8Array> {
  const bytes = yield* fetchFile({ ...request, optional: false });
  if (!bytes.ok) return bytes;
  return bytes.value === undefined ? missing(request) : accepted(bytes.value);
}

function missing({ role, file }: RequiredRequest): Verdict<never> {
  return refused('MISSING_METADATA', role, `there is no ${file}`);
}

function tooLong({ role, file, maxBytes }: RequiredRequest): Verdict<never> {
  return refused('ENDLESS_DATA', role, `${file} is longer than ${maxBytes} bytes`);
}

/** Steps as an object: `next` returns a request, `accept` takes its answer, and `outcome` is the result. */
export class Retrieval<T, R = MetadataRequest> {
  readonly #steps: Steps<T, R>;
  #state: IteratorResult<R, Verdict<T>> | undefined;

  constructor(steps: Steps<T, R>) {
    this.#steps = steps;
  }

  /** The present request; undefined at the end or after a refusal. */
  next(): R | undefined {
    this.#state ??= this.#steps.next();
    return this.#state.done === true ? undefined : this.#state.value;
  }

  /** Answers the request. Throws if there is none. */
  accept(answer: MetadataAnswer): Verdict<void> {
    if (this.next() === undefined) throw new Error('nothing was asked for');
    this.#state = this.#steps.next(answer);
    const { done, value } = this.#state;
    return done === true && !value.ok ? value : accepted(undefined);
  }

  /** Undefined while a file is requested. */
  get outcome(): Verdict<T> | undefined {
    this.next();
    return this.#state?.done === true ? this.#state.value : undefined;
  }
}
