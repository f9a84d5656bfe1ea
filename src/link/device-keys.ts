// The key of this device and the keys of a pending change; all are tried until the backend accepts one.

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
  /** Number of the chip with which the device was provisioned. */
  readonly hwId: string;
  /** 32 bytes; the registry stores their SHA-256. */
  readonly deviceSecret: Uint8Array;
}

const FILE = 'device-key.json';

/** Most pending keys: this many key changes can be interrupted in a row without a session in between. */
const MAX_NEXT = 4;

const key = z.string().regex(/^[0-9a-f]{64}$/);
const fileSchema = z.object({
  format: z.literal(1),
  /** SHA-256 of the factory's key; after a new provisioning it differs, and the file is ignored. */
  origin: key,
  current: key,
  /** Keys of pending changes, the oldest first. */
  next: z.array(key).max(MAX_NEXT),
  /**
   * The key before `current`, for a backend that was restored from an older backup. The next change removes it, so an
   * old key stays valid no longer than any key.
   */
  previous: key.nullable().default(null),
  /** Time of the last change in milliseconds since 1970. */
  changedAtMs: z.number(),
});
type Content = z.output<typeof fileSchema>;
const codec = jsonFile(fileSchema);

export class DeviceKeys {
  /** The file of the keys; undefined when they are not stored. */
  readonly #file: DurableFile<Content> | undefined;
  #fixed: Content | undefined;

  private constructor(kept: { readonly file?: DurableFile<Content>; readonly fixed?: Content }) {
    this.#file = kept.file;
    this.#fixed = kept.fixed;
  }

  /** Keys without a file: always the key of the factory. */
  static fixed(device: DeviceIdentity): DeviceKeys {
    return new DeviceKeys({ fixed: fresh(device, 0) });
  }

  /**
   * Opens the file. A damaged file, or one of another provisioning, is replaced; the backend shows which key it knows.
   */
  static async open(device: DeviceIdentity, storage: Storage, clock: Clock): Promise<DeviceKeys> {
    const known = await contentOf(device, storage);
    if (known !== undefined) {
      return new DeviceKeys({ file: new DurableFile(storage, FILE, codec, known) });
    }
    // The age of the first key counts from now on, also across restarts.
    const first = fresh(device, clock.wallMs());
    return new DeviceKeys({ file: await DurableFile.create(storage, FILE, codec, first) });
  }

  /** Reads the present keys while another process owns the file. */
  static async glance(device: DeviceIdentity, storage: Storage): Promise<DeviceKeys> {
    return new DeviceKeys({ fixed: (await contentOf(device, storage)) ?? fresh(device, 0) });
  }

  /** The current key, 32 bytes. */
  get current(): Uint8Array {
    return fromHex(this.#content.current);
  }

  /** All keys to try, the newest first. */
  get candidates(): readonly Uint8Array[] {
    const { current, next, previous } = this.#content;
    return [...next.toReversed(), current, ...(previous === null ? [] : [previous])].map(fromHex);
  }

  /** Whether the keys are stored, so that a change survives a restart. */
  get canChange(): boolean {
    return this.#file !== undefined;
  }

  get changedAtMs(): number {
    return this.#content.changedAtMs;
  }

  /** Stores the next key durably, before the backend gets a message that uses it. */
  async propose(next: Uint8Array): Promise<void> {
    await this.#change((content) => ({
      ...content,
      next: [...content.next, toHex(next)].slice(-MAX_NEXT),
    }));
  }

  /** Notes that the backend has opened a session with this key; the other keys are dropped. */
  async proven(used: Uint8Array, wallMs: number): Promise<void> {
    const text = toHex(used);
    const { current, next } = this.#content;
    if (next.length === 0 && text === current) return;
    // The backend may know the previous key: it becomes current again, and the next change is due at the usual time.
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

/** The content of the file; undefined where it is missing or belongs to another provisioning. */
async function contentOf(device: DeviceIdentity, storage: Storage): Promise<Content | undefined> {
  const read = await readFileOnce(storage, FILE, codec);
  const isOurs = read.state === 'known' && read.content.origin === fresh(device, 0).origin;
  return isOurs ? read.content : undefined;
}
