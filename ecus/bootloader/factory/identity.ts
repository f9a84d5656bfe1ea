// The identity of an ECU: serial number, keys and first Roots. The factory writes it and then locks it.

import { z } from 'zod';
import { DurableFile, type FileState } from '../../../src/core/durable-file.ts';
import type { Storage } from '../../../src/core/storage.ts';
import { ProvisioningState } from '../../../src/uds/sid.ts';
import { sealedFile } from '../flash/sealed-json.ts';

const IDENTITY_FILE = 'identity';

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`));

const identitySchema = z.strictObject({
  format: z.literal(1),
  /** Whether the identity is locked: only the data shared with the TMU can still change. */
  locked: z.boolean(),
  serial: z.string().min(1).max(32).nullable(),
  /** Ed25519 seed, which signs version reports. */
  signingSeed: hex(32).nullable(),
  /** X25519 private key, which decrypts images. */
  encryptionKey: hex(32).nullable(),
  deviceSecret: hex(32).nullable(),
  securityAccessKey: z
    .string()
    .regex(/^(?:[0-9a-f]{2}){16,64}$/)
    .nullable(),
  approvalKey: hex(32).nullable(),
  /** X25519 public keys with which service 84 accepts orders: of the TMU, and of the factory where it has one. */
  testerKey: hex(32).nullable(),
  factoryKey: hex(32).nullable(),
  /** The first trusted Roots, as base64. */
  directorRoot: z.base64().nullable(),
  imagesRoot: z.base64().nullable(),
  /** Chip and hardware of this identity, set by the lock. */
  binding: z.strictObject({ deviceId: hex(16), hardwareId: z.string() }).nullable(),
  /** The image that may run without metadata while no other was confirmed, set by the lock. */
  factoryImage: z
    .strictObject({ sha256: hex(32), version: z.string(), length: z.int().positive() })
    .nullable(),
});
export type IdentityContent = z.infer<typeof identitySchema>;

const VIRGIN: IdentityContent = {
  format: 1,
  locked: false,
  serial: null,
  signingSeed: null,
  encryptionKey: null,
  deviceSecret: null,
  securityAccessKey: null,
  approvalKey: null,
  testerKey: null,
  factoryKey: null,
  directorRoot: null,
  imagesRoot: null,
  binding: null,
  factoryImage: null,
};

/** The data that an ECU shares with its TMU or knows about it. */
export type TesterSecrets = Partial<
  Pick<IdentityContent, 'testerKey' | 'securityAccessKey' | 'approvalKey'>
>;

export class FactoryIdentity {
  readonly #file: DurableFile<IdentityContent>;
  /** Why the file is not valid; the ECU then is not virgin and cannot be used. */
  readonly damaged: string | undefined;

  private constructor(file: DurableFile<IdentityContent>, state: FileState) {
    this.#file = file;
    this.damaged = typeof state === 'object' ? state.damaged : undefined;
  }

  static async open(storage: Storage): Promise<FactoryIdentity> {
    const { file, state } = await DurableFile.open(
      storage,
      IDENTITY_FILE,
      sealedFile(identitySchema),
      VIRGIN,
    );
    return new FactoryIdentity(file, state);
  }

  get content(): IdentityContent {
    return this.#file.content;
  }

  /** A damaged identity counts as locked, because damage must not unlock an ECU. */
  get locked(): boolean {
    return this.damaged !== undefined || this.content.locked;
  }

  get state(): ProvisioningState {
    if (this.locked) return ProvisioningState.locked;
    return Object.entries(this.content).every(
      ([field, value]) => field === 'format' || field === 'locked' || value === null,
    )
      ? ProvisioningState.virgin
      : ProvisioningState.open;
  }

  /** Replaces the TMU and its secrets by the factory's authority, which the lock allows. */
  async replaceTester(change: TesterSecrets): Promise<void> {
    await this.#file.update((content) => {
      if (this.damaged !== undefined) throw new Error('the identity is damaged');
      return { ...content, ...change };
    });
  }

  /** Stores a change; durable when it resolves. Throws when the identity is locked, which callers must check first. */
  async store(change: Partial<Omit<IdentityContent, 'format'>>): Promise<void> {
    await this.#file.update((content) => {
      if (this.locked) throw new Error('the identity is locked');
      return { ...content, ...change };
    });
  }

  powerOff(): void {
    this.#file.powerOff();
  }

  settled(): Promise<void> {
    return this.#file.settled();
  }
}
