// Installs the staged, encrypted image: decrypts it once to check it, and again to write it to a bank.

import { createHash } from 'node:crypto';
import {
  type PackageFault,
  type PackageManifest,
  packageFault,
} from '../contract/chunked/package.ts';
import type { PackageKey } from '../contract/chunked/package-cipher.ts';
import { DECRYPTOR_BYTES, PackageDecryptor } from '../contract/chunked/package-decryptor.ts';
import { flipBits } from '../core/bytes.ts';
import type { Storage } from '../core/storage.ts';
import { BankWriter, bankDigest } from './banks.ts';
import type { Bank } from './boot-record.ts';
import type { Staging } from './staging.ts';
import type { WorkingMemory } from './working-memory.ts';

export interface StagedPackage {
  readonly manifest: PackageManifest;
  /** SHA-256 of the encrypted image, hexadecimal. */
  readonly sha256: string;
  readonly to: PackageKey;
  readonly staging: Staging;
  readonly memory: WorkingMemory;
}

export interface StagedDigest {
  /** SHA-256 of the staged bytes, hexadecimal. */
  readonly sha256: string;
}

/** Checks the whole staged image and writes nothing. Throws StorageError. */
export async function judgeStaged(
  staged: StagedPackage,
): Promise<StagedDigest & ({ readonly ok: true } | PackageFault)> {
  const hash = createHash('sha256');
  const verdict = await openStaged(
    staged,
    async () => {},
    (sealed) => hash.update(sealed),
  );
  const sha256 = hash.digest('hex');
  // Report a damaged transfer first; it does not mean that the image is wrong.
  if (sha256 !== staged.sha256) {
    const reason = `the stored image has SHA-256 ${sha256}, expected ${staged.sha256}`;
    return { ...packageFault('DIGEST_MISMATCH', reason), sha256 };
  }
  return { ...verdict, sha256 };
}

/** Writes the image into `bank` and reads it back. Throws StorageError. */
export async function writeStaged(
  staged: StagedPackage,
  storage: Storage,
  bank: Bank,
  spoil: boolean,
): Promise<{ readonly ok: true } | PackageFault> {
  const { manifest, memory } = staged;
  const writer = await BankWriter.open(storage, bank);
  try {
    let intact = !spoil;
    const verdict = await openStaged(staged, async (plain) => {
      if (!intact) flipBits(plain, 0, 0xff);
      intact = true;
      await writer.append(plain);
    });
    if (!verdict.ok) return verdict;
    await writer.finish();
  } finally {
    await writer.close();
  }
  const found = await bankDigest(storage, bank, memory);
  if (found.sha256 === manifest.sha256 && found.length === manifest.length) return { ok: true };
  return packageFault('DIGEST_MISMATCH', 'the bank does not hold the image that was written');
}

async function openStaged(
  { manifest, to, staging, memory }: StagedPackage,
  write: (plain: Uint8Array) => Promise<void>,
  onSealed: (sealed: Uint8Array) => void = () => {},
): Promise<{ readonly ok: true } | PackageFault> {
  using block = memory.allocate('a block of the image', DECRYPTOR_BYTES);
  const decryptor = new PackageDecryptor({ manifest, to, memory: block.bytes });
  let fault: PackageFault | undefined;
  for await (const sealed of staging.read()) {
    onSealed(sealed);
    for (let at = 0; at < sealed.length && fault === undefined; ) {
      const opened = decryptor.take(sealed.subarray(at));
      if (!opened.ok) {
        fault = opened;
        break;
      }
      at += opened.taken;
      if (opened.plain.length > 0) await write(opened.plain);
    }
  }
  return fault ?? decryptor.finish();
}
