// Non-volatile data of an ECU: VIN, fingerprint, security attempts, trouble codes, values of the application.

import { z } from 'zod';
import { DurableFile, readFileOnce } from '../../../src/core/durable-file.ts';
import type { Storage } from '../../../src/core/storage.ts';
import { sealedFile } from './sealed-json.ts';

const NV_FILE = 'nv';

/** Number of wrong keys after which the delay starts. */
export const MAX_SECURITY_ATTEMPTS = 3;

const nvSchema = z.strictObject({
  format: z.literal(1),
  serial: z.string().min(1).max(32),
  /** VIN that a tester wrote to F190; null: that of the vehicle file. */
  vin: z.string().length(17).nullable(),
  /** Fingerprint of the last programming (F15A), hexadecimal. */
  fingerprint: z.string().regex(/^(?:[0-9a-f]{2}){0,64}$/),
  /** Number of wrong security keys since the last right one; a reset does not clear it. */
  failedAttempts: z.number().int().min(0).max(255),
  dtcs: z
    .array(
      z.strictObject({
        /** Trouble code of three bytes. */
        code: z.number().int().min(0).max(0xff_ffff),
        /** Status mask of ISO 14229-1 annex D.2. */
        status: z.number().int().min(0).max(0xff),
      }),
    )
    .max(64),
  /** Values that testers wrote to the application, by DID, as hexadecimal digits. */
  values: z.record(z.string().regex(/^[0-9a-f]{4}$/), z.string().regex(/^[0-9a-f]*$/)).default({}),
  /** Number of runs of each routine of the application, by its identifier. */
  runs: z.record(z.string().regex(/^[0-9a-f]{4}$/), z.number().int().min(0)).default({}),
});
export type NvContent = z.infer<typeof nvSchema>;
export type StoredDtc = NvContent['dtcs'][number];

export class NvData {
  readonly #file: DurableFile<NvContent>;
  #content: NvContent;

  private constructor(file: DurableFile<NvContent>) {
    this.#file = file;
    this.#content = file.content;
  }

  /** Opens the data; a missing or damaged file is created again. `damaged` says why the old one was not valid. */
  static async open(
    storage: Storage,
    newSerial: () => string,
    initialDtcs: readonly StoredDtc[],
  ): Promise<{ readonly nv: NvData; readonly damaged: string | undefined }> {
    const initial = (failedAttempts: number): NvContent => ({
      format: 1,
      serial: newSerial(),
      vin: null,
      fingerprint: '',
      failedAttempts,
      dtcs: [...initialDtcs],
      values: {},
      runs: {},
    });
    const codec = sealedFile(nvSchema);
    const read = await readFileOnce(storage, NV_FILE, codec);
    if (read.state === 'known') {
      const file = new DurableFile(storage, NV_FILE, codec, read.content);
      return { nv: new NvData(file), damaged: undefined };
    }
    const damaged = read.state === 'missing' ? undefined : read.state.damaged;
    // The damaged file may have held an exhausted counter, so an attacker must gain nothing by damaging it.
    const content = initial(damaged === undefined ? 0 : MAX_SECURITY_ATTEMPTS);
    return { nv: new NvData(await DurableFile.create(storage, NV_FILE, codec, content)), damaged };
  }

  get content(): NvContent {
    return this.#content;
  }

  /** Changes the data at once; durable when it resolves. Throws StorageError. */
  async store(change: Partial<Omit<NvContent, 'format'>>): Promise<void> {
    this.#content = { ...this.#content, ...change };
    const next = this.#content;
    await this.#file.update(() => next);
  }

  powerOff(): void {
    this.#file.powerOff();
  }

  /** Resolves when all writes so far are durable or have failed. */
  settled(): Promise<void> {
    return this.#file.settled();
  }
}
