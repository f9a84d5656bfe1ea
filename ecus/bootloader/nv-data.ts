// What an ECU remembers besides its firmware: serial number, fingerprint, security attempts, trouble codes.

import { z } from 'zod';
import type { Storage } from '../../src/core/storage.ts';
import { decodeSealed, encodeSealed } from './sealed-json.ts';

const NV_FILE = 'nv';

/** Wrong keys until the delay starts. */
export const MAX_SECURITY_ATTEMPTS = 3;

const nvSchema = z.strictObject({
  format: z.literal(1),
  serial: z.string().min(1).max(32),
  /** Written by the tester into F190; the vehicle file's VIN until then. */
  vin: z.string().length(17).nullable(),
  /** F15A as hexadecimal: who programmed last. */
  fingerprint: z.string().regex(/^(?:[0-9a-f]{2}){0,64}$/),
  /** Wrong security keys since the last right one: a reset does not forget them. */
  failedAttempts: z.number().int().min(0).max(255),
  dtcs: z
    .array(
      z.strictObject({
        /** Three bytes. */
        code: z.number().int().min(0).max(0xff_ffff),
        /** Status mask of ISO 14229-1 annex D.2. */
        status: z.number().int().min(0).max(0xff),
      }),
    )
    .max(64),
  /** What testers wrote into the application, by DID; the bytes as hexadecimal digits. */
  values: z.record(z.string().regex(/^[0-9a-f]{4}$/), z.string().regex(/^[0-9a-f]*$/)).default({}),
  /** How often each routine of the application was begun, by its identifier. */
  runs: z.record(z.string().regex(/^[0-9a-f]{4}$/), z.number().int().min(0)).default({}),
});
export type NvContent = z.infer<typeof nvSchema>;
export type StoredDtc = NvContent['dtcs'][number];

export class NvData {
  readonly #storage: Storage;
  #content: NvContent;
  /** Writes run one after the other, each with the content of its moment. */
  #tail: Promise<void> = Promise.resolve();
  #poweredOff = false;

  private constructor(storage: Storage, content: NvContent) {
    this.#storage = storage;
    this.#content = content;
  }

  /** Reads it; a missing or damaged file is made anew. `damaged` says why the old one was given up. */
  static async open(
    storage: Storage,
    newSerial: () => string,
    initialDtcs: readonly StoredDtc[],
  ): Promise<{ readonly nv: NvData; readonly damaged: string | undefined }> {
    const bytes = await storage.read(NV_FILE);
    const decoded = bytes === undefined ? undefined : decodeSealed(bytes, nvSchema);
    if (decoded !== undefined && 'value' in decoded) {
      return { nv: new NvData(storage, decoded.value), damaged: undefined };
    }
    const content: NvContent = {
      format: 1,
      serial: newSerial(),
      vin: null,
      fingerprint: '',
      // A damaged memory may have held an exhausted counter: whoever damaged it gains nothing.
      failedAttempts: decoded === undefined ? 0 : MAX_SECURITY_ATTEMPTS,
      dtcs: [...initialDtcs],
      values: {},
      runs: {},
    };
    const nv = new NvData(storage, content);
    await nv.store({});
    return { nv, damaged: decoded?.fault };
  }

  get content(): NvContent {
    return this.#content;
  }

  /** The change counts at once; it is durable when this resolves. Throws StorageError. */
  async store(change: Partial<Omit<NvContent, 'format'>>): Promise<void> {
    this.#content = { ...this.#content, ...change };
    const bytes = encodeSealed(this.#content);
    const done = this.#tail.then(async () => {
      if (!this.#poweredOff) await this.#storage.replace(NV_FILE, bytes);
    });
    this.#tail = done.catch(() => {});
    return done;
  }

  powerOff(): void {
    this.#poweredOff = true;
  }

  /** Resolves when everything stored so far is durable or has failed. */
  settled(): Promise<void> {
    return this.#tail;
  }
}
