// A small device as far as a chunked download goes: checks, fetches, verifies and reports, over a disk that may lose power.

import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { z } from 'zod';
import { type Profile, readReleaseKey, verifyPackage } from '../../src/contract/chunked/package.ts';
import { DECRYPTOR_BYTES, PackageDecryptor } from '../../src/contract/chunked/package-decryptor.ts';
import {
  type CheckRequest,
  type CompleteRequest,
  chunkKey,
  recordBytes,
  type TransferFacts,
} from '../../src/contract/chunked/protocol.ts';
import { type ChunkEvent, ChunkReceiver } from '../../src/contract/chunked/receiver.ts';
import {
  generateReleaseKey,
  manifestFor,
  publicPem,
  signManifest,
} from '../../src/contract/chunked/sign-package.ts';
import { otaCheck } from '../../src/contract/endpoints/small-devices/check.ts';
import { otaChunk } from '../../src/contract/endpoints/small-devices/chunk.ts';
import { otaComplete } from '../../src/contract/endpoints/small-devices/complete.ts';
import { otaStatus } from '../../src/contract/endpoints/small-devices/status.ts';
import { otaVerify } from '../../src/contract/endpoints/small-devices/verify.ts';
import { toHex } from '../../src/core/bytes.ts';
import { silentLogger } from '../../src/core/logger.ts';
import type { Storage, StorageFile } from '../../src/core/storage.ts';
import { HttpClient } from '../../src/link/http-client.ts';
import { SealedClient } from '../../src/link/sealed-client.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { SimulatedDisk } from '../../src/sim/simulated-disk.ts';
import { deviceKeyOf } from '../../src/trust/device-session.ts';
import type { InjectedBackend } from '../server/injected-support.ts';
import { json, type Reply } from '../server/support.ts';
import { bearer } from '../server/trust-support.ts';
import { InjectedTransport } from './injected-transport.ts';

export const MODEL = 'SENSOR-1';
export const RELEASE_KEYS = {
  default: generateReleaseKey('default'),
  rsa: generateReleaseKey('rsa'),
} as const;
const FILE = 'download.bin';
const NOTE = 'download.json';
const noteSchema = z.object({ transfer: z.string(), image: z.string() });
/** Answers in a row without anything new, after which the device gives up for this time. */
const PATIENCE = 5;

export interface PackageOptions {
  readonly model?: string;
  readonly version?: string;
  readonly counter?: number;
  readonly profile?: Profile;
  readonly key?: (typeof RELEASE_KEYS)[Profile];
  /** Who signs in truth. */
  readonly signer?: (typeof RELEASE_KEYS)[Profile];
}

export function releasePackage(
  backend: InjectedBackend,
  image: Uint8Array,
  options: PackageOptions & { readonly token?: string; readonly sent?: Uint8Array } = {},
): Promise<Reply> {
  const { model = MODEL, version = '1.1.0', counter = 2, profile = 'default' } = options;
  const {
    key = RELEASE_KEYS[profile],
    token = backend.releaser,
    sent = image,
    signer = key,
  } = options;
  const signed = signManifest(manifestFor(image, { model, version, counter, profile }), signer);
  const field = (name: string, value: string, more = ''): string =>
    `--b\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}`;
  const body = Buffer.concat([
    Buffer.from(`${field('manifest', JSON.stringify(signed))}\r\n`),
    Buffer.from(`${field('public_key', publicPem(key))}\r\n`),
    Buffer.from(field('file', '', '; filename="x.bin"')),
    sent,
    Buffer.from('\r\n--b--\r\n'),
  ]);
  const headers = { ...bearer(token), 'Content-Type': 'multipart/form-data; boundary=b' };
  return backend.request('/ota/packages', { method: 'POST', headers, body });
}

export class ChunkedDevice {
  readonly backend: InjectedBackend;
  readonly serial: string;
  readonly hwId: string;
  readonly secret: Uint8Array;
  readonly profile: Profile;
  readonly transport: InjectedTransport;
  readonly disk: SimulatedDisk;
  readonly events: ChunkEvent['kind'][] = [];
  version = '1.0.0';
  counter = 1;
  chunkBytes = 256;
  /** Chunks of one answer. */
  most = 4;
  /** After each answer that was stored. */
  onStored: () => Promise<void> | void = () => {};
  storage!: Storage;
  #lives = 0;

  private constructor(
    backend: InjectedBackend,
    { serial, hwId }: Pick<ChunkedDevice, 'serial' | 'hwId'>,
    secret: Uint8Array,
    profile: Profile,
  ) {
    this.backend = backend;
    this.serial = serial;
    this.hwId = hwId;
    this.secret = secret;
    this.profile = profile;
    this.disk = new SimulatedDisk();
    this.transport = new InjectedTransport(() => backend.server.app);
  }

  static async enrolled(
    backend: InjectedBackend,
    options: { readonly profile?: Profile; readonly model?: string | null } = {},
  ): Promise<ChunkedDevice> {
    const { profile = 'default', model = MODEL } = options;
    const secret = backend.random.bytes(32);
    const hwId = toHex(backend.random.bytes(8));
    const provision = (path: string, body: Record<string, unknown>): Promise<Reply> => {
      const init = json(body);
      return backend.request(path, {
        ...init,
        headers: { ...init.headers, ...bearer(backend.factory) },
      });
    };
    const reply = await provision('/provision', {
      hw_id: hwId,
      ...(model === null ? {} : { hardware_id: model }),
      device_secret_hash: toHex(deviceKeyOf(secret)),
    });
    expect(reply.status).toBe(201);
    expect((await provision('/provision/activate', { hw_id: hwId })).status).toBe(200);
    return new ChunkedDevice(backend, { serial: reply.json.serial, hwId }, secret, profile);
  }

  /** Another one with the same key, and a disk of its own. */
  twin(): ChunkedDevice {
    const twin = new ChunkedDevice(this.backend, this, this.secret, this.profile);
    twin.#lives = 1000;
    return twin;
  }

  /** A new life. */
  async boot(): Promise<SealedClient> {
    const { clock } = this.backend;
    this.storage = this.disk.open();
    return SealedClient.open({
      client: new HttpClient({ clock, headers: {}, transport: this.transport }),
      base: new URL('http://backend/'),
      device: { serial: this.serial, hwId: this.hwId, deviceSecret: this.secret },
      storage: this.storage,
      clock,
      random: seededRandom(`${this.serial} life ${++this.#lives}`),
      logger: silentLogger,
    });
  }

  wish(more: Partial<Extract<CheckRequest, { kind: 'package' }>> = {}): CheckRequest {
    const { version, counter, profile, chunkBytes } = this;
    return { kind: 'package', model: MODEL, version, counter, profile, chunkBytes, ...more };
  }

  /** Everything from the check to the report; what came of it: `success`, `none: WHY`, or the code of what was wrong. */
  async update(client?: SealedClient): Promise<string> {
    const sealed = client ?? (await this.boot());
    const note = await this.#note();
    const file = await this.storage.open(FILE);
    try {
      const bytes = note === undefined ? 0 : await file.size();
      const held = note === undefined ? {} : { held: { image: note.image, bytes } };
      const wish = this.wish({
        ...held,
        ...(note === undefined ? {} : { transfer: note.transfer }),
      });
      const told = await sealed.json(otaCheck, wish);
      if ('kind' in told) return codeOf(told);
      const answer = told.value;
      if (answer.kind === 'none') return `none: ${answer.why}`;
      const { transfer } = answer;
      const judged = verifyPackage(answer.package!, {
        model: MODEL,
        counter: this.counter,
        releaseKey: readReleaseKey(publicPem(RELEASE_KEYS[this.profile]))!,
      });
      if (!judged.ok)
        return await this.#refuse(sealed, transfer, transfer.image.sha256, judged.code);
      await this.storage.replace(
        NOTE,
        Buffer.from(JSON.stringify({ transfer: transfer.id, image: transfer.image.sha256 })),
      );
      const fetched = await this.fetch(sealed, file, transfer);
      if (fetched !== 'complete') return fetched;
      const digest = toHex(await digestOf(file, transfer.image.length));
      if (digest !== transfer.image.sha256) {
        return await this.#refuse(sealed, transfer, digest, 'DIGEST_MISMATCH');
      }
      const opened = await this.#open(file, judged.manifest, transfer, sealed.keys.current);
      if (opened !== 'ok') return await this.#refuse(sealed, transfer, digest, opened);
      const wanted = { transfer: transfer.id, sha256: digest, result: 'ok' };
      const verified = await sealed.json(otaVerify, wanted);
      if ('kind' in verified) return codeOf(verified);
      expect(verified.value).toEqual({ next: 'install' });
      this.version = judged.manifest.version;
      this.counter = judged.manifest.counter;
      return await this.complete(sealed, transfer.id, 'success');
    } finally {
      await file.close();
    }
  }

  /** The chunks that are missing. `complete`, or the code of what was wrong. */
  async fetch(sealed: SealedClient, file: StorageFile, transfer: TransferFacts): Promise<string> {
    const { image, chunkBytes, prefix } = transfer;
    // What the disk kept is what the server sent, or it begins anew.
    const right = prefix !== null && toHex(await digestOf(file, prefix.bytes)) === prefix.sha256;
    const held = right ? prefix.bytes : 0;
    if (!right) await file.truncate(0);
    const memory = new Uint8Array(recordBytes(chunkBytes));
    const receiver = new ChunkReceiver({ length: image.length, chunkBytes, held, memory });
    while (!receiver.complete) {
      if (receiver.barrenAnswers >= PATIENCE) return 'NO_PROGRESS';
      const wanted = { transfer: transfer.id, ...receiver.wanted(this.most) };
      const opened = await sealed.open(otaChunk.path, Buffer.from(JSON.stringify(wanted)));
      if (opened.kind === 'failed') {
        if (!opened.transient) return codeOf(opened);
        receiver.begin({ key: new Uint8Array(32), context: new Uint8Array() });
        receiver.end();
        continue;
      }
      receiver.begin(chunkKey(opened.session, image.sha256));
      for await (const piece of opened.response.body) {
        for (let at = 0; at < piece.length; ) {
          const { taken, event } = receiver.take(piece.subarray(at));
          at += taken;
          if (event === undefined) continue;
          this.events.push(event.kind);
          if (event.kind === 'next' || event.kind === 'out-of-order') {
            await file.write(event.offset, event.data);
          }
        }
      }
      opened.response.destroy();
      const end = receiver.end();
      if (end !== undefined) this.events.push(end.kind);
      await file.sync();
      await this.onStored();
    }
    return 'complete';
  }

  async complete(
    sealed: SealedClient,
    transfer: string,
    outcome: CompleteRequest['outcome'],
  ): Promise<string> {
    const report = { transfer, version: this.version, outcome, diagnostics: { freeBytes: 4096 } };
    const told = await sealed.json(otaComplete, report);
    if ('kind' in told) return codeOf(told);
    await this.#forget();
    return outcome;
  }

  async status(sealed: SealedClient) {
    const told = await sealed.json(otaStatus, {});
    if ('kind' in told) throw new Error(told.reason);
    return told.value.transfer;
  }

  /** The encrypted image as it was stored. */
  stored(): Uint8Array | undefined {
    return this.disk.contents(FILE);
  }

  async #refuse(
    sealed: SealedClient,
    transfer: TransferFacts,
    sha256: string,
    code: string,
  ): Promise<string> {
    const report = { transfer: transfer.id, sha256, result: 'failed', code };
    const told = await sealed.json(otaVerify, report);
    if (!('kind' in told)) expect(told.value.next).toBe('discard');
    await this.#forget();
    return code;
  }

  async #open(
    file: StorageFile,
    manifest: ConstructorParameters<typeof PackageDecryptor>[0]['manifest'],
    { image }: TransferFacts,
    deviceKey: Uint8Array,
  ): Promise<string> {
    const to = { serial: this.serial, deviceKey };
    const decryptor = new PackageDecryptor({
      manifest,
      to,
      memory: new Uint8Array(DECRYPTOR_BYTES),
    });
    let rest = await file.read(0, image.length);
    while (rest.length > 0) {
      const step = decryptor.take(rest);
      if (!step.ok) return step.code;
      rest = rest.subarray(step.taken);
    }
    const end = decryptor.finish();
    return end.ok ? 'ok' : end.code;
  }

  async #note(): Promise<z.output<typeof noteSchema> | undefined> {
    const bytes = await this.storage.read(NOTE);
    return bytes === undefined
      ? undefined
      : noteSchema.parse(JSON.parse(Buffer.from(bytes).toString()));
  }

  async #forget(): Promise<void> {
    await this.storage.remove(NOTE);
    await this.storage.remove(FILE);
  }
}

/** `HTTP_409 TRANSFER_ENDED` of a refusal. */
function codeOf({ code, reason }: { readonly code: string; readonly reason: string }): string {
  const [, problem] = /answered \d+ \(([A-Z_]+)/.exec(reason) ?? [];
  return problem === undefined ? code : `${code} ${problem}`;
}

async function digestOf(file: StorageFile, bytes: number): Promise<Uint8Array> {
  return createHash('sha256')
    .update(await file.read(0, bytes))
    .digest();
}
