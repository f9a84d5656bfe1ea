// `can-ota tuf`: the verifier core as a client of one plain TUF repository.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { systemClock } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { describeError, InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { present } from '../../core/present.ts';
import { DiskStorage, type Storage } from '../../core/storage.ts';
import { httpSource, type MetadataSource } from '../../link/metadata-source.ts';
import { type NetworkOptions, networkOf } from '../../link/network.ts';
import { faultText, refused, type TrustFault, type Verdict } from '../../trust/attack.ts';
import { TargetSearch } from '../../trust/delegations.ts';
import { HASHES } from '../../trust/file-hash.ts';
import {
  filesOf,
  type MetadataAnswer,
  type MetadataRequest,
  type RepositoryTrust,
  RepositoryUpdate,
  restoreTrust,
  type TargetFile,
  trustRoot,
  versionsOf,
} from '../../trust/repository.ts';
import { type CommonOptions, runCommand } from '../context.ts';

export interface TufOptions extends CommonOptions, NetworkOptions {
  readonly metadataDir: string;
  readonly metadataUrl?: string;
  readonly targetName: readonly string[];
  readonly targetDir?: string;
  readonly targetBaseUrl?: string;
}

export type TufAction = 'init' | 'refresh' | 'download';

/** A fault of the repository, which becomes an exit code. */
class Refusal extends Error {
  readonly fault: TrustFault;

  constructor(fault: TrustFault) {
    super(faultText(fault));
    this.fault = fault;
  }
}

function unwrap<T>(verdict: Verdict<T>): T {
  if (!verdict.ok) throw new Refusal(verdict);
  return verdict.value;
}

export function tuf(
  action: TufAction,
  root: string | undefined,
  options: TufOptions,
): Promise<void> {
  return runCommand(options, async (context) => {
    try {
      if (action === 'init') await init(root, options, context);
      else await run(action, options, context);
      return ExitCode.success;
    } catch (error) {
      if (context.signal.aborted) throw error;
      process.stderr.write(`can-ota: ${describeError(error)}\n`);
      const code = error instanceof Refusal ? error.fault.code : 'FAILED';
      context.emit({ error: { code, message: describeError(error), exitCode: 1 } });
      return ExitCode.internal; // 1: the only other code that TUF clients have
    }
  });
}

async function init(
  file: string | undefined,
  { metadataDir }: TufOptions,
  context: Context,
): Promise<void> {
  if (file === undefined) throw new InputError('init', 'name the trusted root.json');
  const bytes = Uint8Array.from(await readFile(file));
  const trust = unwrap(trustRoot(bytes, 'tuf'));
  const storage = await DiskStorage.open(metadataDir);
  // Files of another Root must not be a floor for this one.
  for (const name of await storage.list('.')) {
    if (name.endsWith('.json')) await storage.remove(name);
  }
  await storage.replace('root.json', bytes);
  report(trust, context);
}

async function run(
  action: 'refresh' | 'download',
  options: TufOptions,
  context: Context,
): Promise<void> {
  const needed = (name: string, value: string | undefined): string => {
    if (value === undefined) throw new InputError(name, `${action} needs it`);
    return value;
  };
  const { fetch } = await networkOf(options, options.metadataUrl, options.targetBaseUrl);
  const source = httpSource(needed('--metadata-url', options.metadataUrl), {
    signal: context.signal,
    fetch,
  });
  if (action === 'download' && options.targetName.length === 0) {
    throw new InputError('--target-name', 'name at least one target');
  }
  const client = await TufClient.open(options.metadataDir, source, systemClock.wallMs());
  try {
    await client.refresh();
    if (action === 'refresh') return;
    const images = httpSource(needed('--target-base-url', options.targetBaseUrl), {
      signal: context.signal,
      fetch,
    });
    const folder = await DiskStorage.open(needed('--target-dir', options.targetDir));
    for (const name of options.targetName) {
      const file = await client.download(name, images, folder);
      context.say(`${name}: ${folder.location}/${file}`);
      context.emit({ target: name, file });
    }
  } finally {
    report(client.trust, context);
  }
}

function report(trust: RepositoryTrust, context: Context): void {
  const versions = versionsOf(trust);
  const text = Object.entries(versions).map(([role, version]) => `${role} ${version}`);
  context.say(`trusted: ${text.join(', ')}`);
  context.emit({ trusted: versions });
}

interface Asking {
  readonly trust: RepositoryTrust;
  next(): MetadataRequest | undefined;
  accept(answer: MetadataAnswer): Verdict<unknown>;
}

/** The trusted files of one repository in one folder. The whole run uses one time (TUF 5.1). */
export class TufClient {
  readonly #storage: Storage;
  readonly #source: MetadataSource;
  readonly #nowMs: number;
  #trust: RepositoryTrust;

  private constructor(
    storage: Storage,
    source: MetadataSource,
    nowMs: number,
    trust: RepositoryTrust,
  ) {
    this.#storage = storage;
    this.#source = source;
    this.#nowMs = nowMs;
    this.#trust = trust;
  }

  static async open(folder: string, source: MetadataSource, nowMs: number): Promise<TufClient> {
    const storage = await DiskStorage.open(folder);
    const files = new Map<string, Uint8Array>();
    for (const name of await storage.list('.')) {
      const bytes = name.endsWith('.json') ? await storage.read(name) : undefined;
      if (bytes !== undefined) files.set(name, bytes);
    }
    return new TufClient(storage, source, nowMs, unwrap(restoreTrust(files, 'tuf')));
  }

  get trust(): RepositoryTrust {
    return this.#trust;
  }

  refresh(): Promise<void> {
    return this.#serve(new RepositoryUpdate(this.#trust, this.#nowMs));
  }

  /** Returns the name of the file in `folder`, which then exists and is verified. */
  async download(name: string, images: MetadataSource, folder: Storage): Promise<string> {
    const search = new TargetSearch(this.#trust, name, this.#nowMs);
    await this.#serve(search);
    const target = unwrap(present(search.outcome, 'the outcome of the search'));
    if (target === undefined) {
      throw new Refusal(refused('UNKNOWN_TARGET', 'targets', `${name} is not signed`));
    }
    const file = encodeURIComponent(name);
    if (await isRight(folder, file, target)) return file;
    const { consistentSnapshot } = this.#trust.root.metadata.signed;
    await fetchTarget(images, targetUrl(target, consistentSnapshot), target, folder, file);
    return file;
  }

  async #serve(asking: Asking): Promise<void> {
    for (let request = asking.next(); request !== undefined; request = asking.next()) {
      const verdict = asking.accept(await this.#source.answer(request));
      await this.#keep(asking.trust);
      unwrap(verdict);
    }
  }

  /** Durable before the next request: trusted metadata stays a floor. */
  async #keep(trust: RepositoryTrust): Promise<void> {
    const before = filesOf(this.#trust);
    const after = filesOf(trust);
    for (const [name, bytes] of after) {
      if (before.get(name) !== bytes) await this.#storage.replace(name, bytes);
    }
    for (const name of before.keys()) {
      if (!after.has(name)) await this.#storage.remove(name);
    }
    this.#trust = trust;
  }
}

function targetUrl({ path, hashes }: TargetFile, consistentSnapshot: boolean): string {
  const segments = path.split('/').map(encodeURIComponent);
  const hash = HASHES.map((name) => hashes[name]).find((value) => value !== undefined);
  // TUF 6.2.3: the hash is a prefix of the last part of the path.
  if (consistentSnapshot && hash !== undefined) segments.push(`${hash}.${segments.pop()}`);
  return segments.join('/');
}

const PIECE = 1 << 20;

/** Whether the file exists already, with the right length and every known hash. */
async function isRight(folder: Storage, name: string, target: TargetFile): Promise<boolean> {
  if (!(await folder.list('.')).includes(name)) return false;
  const file = await folder.open(name);
  try {
    if ((await file.size()) !== target.length) return false;
    const check = new TargetCheck(target);
    for (let at = 0; at < target.length; at += PIECE) check.update(await file.read(at, PIECE));
    return check.finish() === undefined;
  } finally {
    await file.close();
  }
}

async function fetchTarget(
  images: MetadataSource,
  url: string,
  target: TargetFile,
  folder: Storage,
  name: string,
): Promise<void> {
  const where = `target ${target.path}`;
  const answer = await images.open(url, target.length);
  if (answer.kind !== 'stream') throw new Refusal(answerFault(answer.kind, where));
  const part = `${name}.part`;
  const file = await folder.open(part);
  const check = new TargetCheck(target);
  try {
    await file.truncate(0);
    for await (const piece of answer.chunks) {
      if (typeof piece === 'string') throw new Refusal(answerFault(piece, where));
      await file.write(check.length, piece);
      check.update(piece);
    }
    const wrong = check.finish();
    if (wrong !== undefined) throw new Refusal(refused('IMAGE_MISMATCH', where, wrong));
    await file.sync();
  } catch (error) {
    await file.close();
    await folder.remove(part);
    throw error;
  }
  await file.close();
  await folder.rename(part, name);
}

function answerFault(kind: 'missing' | 'too-long' | 'too-slow', where: string): TrustFault {
  if (kind === 'missing') return refused('UNKNOWN_TARGET', where, 'the file is not there');
  if (kind === 'too-slow') return refused('SLOW_RETRIEVAL', where, 'it arrives too slowly');
  return refused('ENDLESS_DATA', where, 'it is longer than its signed length');
}

class TargetCheck {
  readonly #target: TargetFile;
  readonly #hashes = new Map<string, ReturnType<typeof createHash>>();
  length = 0;

  constructor(target: TargetFile) {
    this.#target = target;
    for (const name of HASHES) {
      if (Object.hasOwn(target.hashes, name)) this.#hashes.set(name, createHash(name));
    }
  }

  update(bytes: Uint8Array): void {
    this.length += bytes.length;
    for (const hash of this.#hashes.values()) hash.update(bytes);
  }

  /** The first mismatch with the signed metadata; undefined: none. Must be called once. */
  finish(): string | undefined {
    const { length, hashes } = this.#target;
    if (this.length !== length) return `has ${this.length} bytes, ${length} were signed`;
    if (this.#hashes.size === 0) return `none of its hashes is one of ${HASHES.join(', ')}`;
    for (const [name, hash] of this.#hashes) {
      if (hash.digest('hex') !== hashes[name]) return `its ${name} is not the one that was signed`;
    }
    return undefined;
  }
}
