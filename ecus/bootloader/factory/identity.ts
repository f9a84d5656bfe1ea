// Who an ECU is and whom it trusts: serial number, keys and first Roots. Written in the factory, then locked.

import { z } from 'zod';
import { DurableFile, type FileState } from '../../../src/core/durable-file.ts';
import type { Storage } from '../../../src/core/storage.ts';
import { ProvisioningState } from '../../../src/uds/sid.ts';
import { sealedFile } from '../flash/sealed-json.ts';

const IDENTITY_FILE = 'identity';

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`));

const identitySchema = z.strictObject({
  format: z.literal(1),
  /** Nothing below changes any more, what the ECU shares with its TMU excepted. */
  locked: z.boolean(),
  serial: z.string().min(1).max(32).nullable(),
  /** Ed25519 seed: signs version reports. */
  signingSeed: hex(32).nullable(),
  /** X25519 private key: opens encrypted images. */
  encryptionKey: hex(32).nullable(),
  deviceSecret: hex(32).nullable(),
  securityAccessKey: z
    .string()
    .regex(/^(?:[0-9a-f]{2}){16,64}$/)
    .nullable(),
  approvalKey: hex(32).nullable(),
  /** X25519 public keys of those who may give orders by service 84: the TMU, and the factory where there is one. */
  testerKey: hex(32).nullable(),
  factoryKey: hex(32).nullable(),
  /** The Roots that trust starts from, as base64. */
  directorRoot: z.base64().nullable(),
  imagesRoot: z.base64().nullable(),
  /** Filled by the lock: the chip and the hardware that all of this belongs to. */
  binding: z.strictObject({ deviceId: hex(16), hardwareId: z.string() }).nullable(),
  /** Filled by the lock: the image that may run without metadata, as long as no other was confirmed. */
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

/** What an ECU shares with its TMU, or knows of it. */
export type TesterSecrets = Partial<
  Pick<IdentityContent, 'testerKey' | 'securityAccessKey' | 'approvalKey'>
>;

export class FactoryIdentity {
  readonly #file: DurableFile<IdentityContent>;
  /** Why the file cannot be trusted. Then the ECU is neither virgin nor able to do anything. */
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

  /** A damaged identity counts as locked: damage must not open what was closed. */
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

  /** What the lock leaves open, by the factory's authority: another TMU, with other secrets, takes over. */
  async replaceTester(change: TesterSecrets): Promise<void> {
    await this.#file.update((content) => {
      if (this.damaged !== undefined) throw new Error('the identity is damaged');
      return { ...content, ...change };
    });
  }

  /** Durable when it resolves. Throws when the identity is locked, which callers have to ask first. */
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
