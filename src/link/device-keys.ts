// The key of this device, and those that it may have changed to: all are tried until the backend has taken one of them.

import { sha256 } from '@noble/hashes/sha2.js';
import { z } from 'zod';
import { fromHex, toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { DurableFile, jsonFile, readFileOnce } from '../core/durable-file.ts';
import { present } from '../core/present.ts';
import type { Storage } from '../core/storage.ts';
import { deviceKeyOf } from '../trust/device-session.ts';

export interface DeviceIdentity {
  readonly serial: string;
  /** Number of the chip that it was provisioned with. */
  readonly hwId: string;
  /** 32 bytes; what the registry keeps is its SHA-256. */
  readonly deviceSecret: Uint8Array;
}

const FILE = 'device-key.json';

/** More changes than this cannot be cut short one after the other without a session in between. */
const MAX_NEXT = 4;

const key = z.string().regex(/^[0-9a-f]{64}$/);
const fileSchema = z.object({
  format: z.literal(1),
  /** SHA-256 of the key that the factory gave: after a new provisioning this file counts no more. */
  origin: key,
  current: key,
  /** The oldest first. */
  next: z.array(key).max(MAX_NEXT),
  /**
   * The key before `current`: what a backend knows that was restored from a backup of before the change. It ends with the
   * next change, so an old key is worth something for as long as a key is at all.
   */
  previous: key.nullable().default(null),
  /** Milliseconds since 1970: of the last change. */
  changedAtMs: z.number(),
});
type Content = z.output<typeof fileSchema>;
const codec = jsonFile(fileSchema);

export class DeviceKeys {
  /** Undefined: nothing is kept. */
  readonly #file: DurableFile<Content> | undefined;
  #fixed: Content | undefined;

  private constructor(kept: { readonly file?: DurableFile<Content>; readonly fixed?: Content }) {
    this.#file = kept.file;
    this.#fixed = kept.fixed;
  }

  /** For who keeps nothing: the key of the factory, for good. */
  static fixed(device: DeviceIdentity): DeviceKeys {
    return new DeviceKeys({ fixed: fresh(device, 0) });
  }

  /** A file that is damaged, or of another provisioning, is begun anew: the backend says which key it knows. */
  static async open(device: DeviceIdentity, storage: Storage, clock: Clock): Promise<DeviceKeys> {
    const known = await contentOf(device, storage);
    if (known !== undefined) {
      return new DeviceKeys({ file: new DurableFile(storage, FILE, codec, known) });
    }
    // The age of the first key counts from now on, also over restarts.
    const first = fresh(device, clock.wallMs());
    return new DeviceKeys({ file: await DurableFile.create(storage, FILE, codec, first) });
  }

  /** As they are now, for who looks on while another process keeps them. */
  static async glance(device: DeviceIdentity, storage: Storage): Promise<DeviceKeys> {
    return new DeviceKeys({ fixed: (await contentOf(device, storage)) ?? fresh(device, 0) });
  }

  /** 32 bytes. */
  get current(): Uint8Array {
    return fromHex(this.#content.current);
  }

  /** The newest first. */
  get candidates(): readonly Uint8Array[] {
    const { current, next, previous } = this.#content;
    return [...next.toReversed(), current, ...(previous === null ? [] : [previous])].map(fromHex);
  }

  /** It is kept: a change would outlive this process. */
  get canChange(): boolean {
    return this.#file !== undefined;
  }

  get changedAtMs(): number {
    return this.#content.changedAtMs;
  }

  /** Durably, before the backend is told anything under it. */
  async propose(next: Uint8Array): Promise<void> {
    await this.#change((content) => ({
      ...content,
      next: [...content.next, toHex(next)].slice(-MAX_NEXT),
    }));
  }

  /** The backend has opened a session under this one: the others are of no use any more. */
  async proven(used: Uint8Array, wallMs: number): Promise<void> {
    const text = toHex(used);
    const { current, next } = this.#content;
    if (next.length === 0 && text === current) return;
    // Also when the backend knows the key before: it is the one of now again, and the next change is due in its time.
    const changed =
      text === current ? {} : { current: text, previous: current, changedAtMs: wallMs };
    await this.#change((content) => ({ ...content, ...changed, next: [] }));
  }

  get #content(): Content {
    return present(this.#file?.content ?? this.#fixed, 'the keys of the device');
  }

  async #change(change: (content: Content) => Content): Promise<void> {
    if (this.#file === undefined) this.#fixed = change(this.#content);
    else await this.#file.update(change);
  }
}

function fresh(
  { deviceSecret }: Pick<DeviceIdentity, 'deviceSecret'>,
  changedAtMs: number,
): Content {
  const current = deviceKeyOf(deviceSecret);
  const origin = toHex(sha256(current));
  return { format: 1, origin, current: toHex(current), next: [], previous: null, changedAtMs };
}

/** Undefined where there is none, or one of another provisioning. */
async function contentOf(device: DeviceIdentity, storage: Storage): Promise<Content | undefined> {
  const read = await readFileOnce(storage, FILE, codec);
  const isOurs = read.state === 'known' && read.content.origin === fresh(device, 0).origin;
  return isOurs ? read.content : undefined;
}
