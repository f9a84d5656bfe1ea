// Checks metadata in an ECU before anything is erased, in the order of the standard.

import { fromHex, hexNumber, toHex } from '../../../src/core/bytes.ts';
import { isVersionText } from '../../../src/core/names.ts';
import type { Random } from '../../../src/core/random.ts';
import { type AttackCode, accepted, refused, type Verdict } from '../../../src/trust/attack.ts';
import { decodeBundle } from '../../../src/trust/bundle.ts';
import type { VerifiedTarget } from '../../../src/trust/director.ts';
import { encodeBankRecord, headerOf } from '../../../src/trust/image-header.ts';
import { verifyBundle } from '../../../src/trust/partial-verification.ts';
import { filesOf, type RepositoryTrust } from '../../../src/trust/repository.ts';
import { losesKey } from '../../../src/trust/root-check.ts';
import { checkTime } from '../../../src/trust/time-attestation.ts';
import type { BootedEcu } from '../device.ts';
import { newerRoots } from './newer-roots.ts';
import type { AcceptedRelease } from './release.ts';

const NONCE_BYTES = 16;

/** State from a boot to the next reset: the nonce is in RAM, and a reset loses it. */
export class MetadataCheck {
  readonly #device: BootedEcu;
  readonly #random: Random;
  #nonce: string | undefined;

  constructor(device: BootedEcu, random: Random) {
    this.#device = device;
    this.#random = random;
  }

  /**
   * The value of DID FD21, which the next time attestation must contain. It stays until a bundle has used it, so that a
   * read by another node does not invalidate a bundle under way.
   */
  nonce(): Uint8Array {
    this.#nonce ??= toHex(this.#random.bytes(NONCE_BYTES));
    return fromHex(this.#nonce);
  }

  /**
   * Checks a bundle. An accepted bundle is durable when this resolves, a refused one changes nothing. Undefined: the
   * bundle is valid and has no image for this ECU. Throws StorageError.
   */
  async accept(bytes: Uint8Array): Promise<Verdict<AcceptedRelease | undefined>> {
    const { identity, trust, flash, ecu } = this.#device;
    const { serial } = identity.content;
    const before = trust.trust;
    if (before === undefined || serial === null) throw new Error('the ECU is not provisioned');
    const bundle = decodeBundle(bytes);
    if (!bundle.ok) return bundle;

    // Step 1 of 5.4.4.1 and 5.4.4.2 is the time, and the newest Root names the keys that may sign it.
    const roots = newerRoots(before.director, bundle.value.director);
    if (!roots.ok) return roots;
    const nonce = this.#nonce;
    this.#nonce = undefined;
    if (nonce === undefined) {
      return refused('FREEZE', 'time', 'no nonce is outstanding: read DID FD21 before each bundle');
    }
    // When a Root removes a stolen key, a time far ahead signed by it is dropped; otherwise all metadata stays expired.
    const isNewKey = losesKey(before.director.root, roots.value.newest, 'time');
    const floorMs = isNewKey ? 0 : trust.counters.timeMs;
    const time = checkTime(bundle.value.time, roots.value.newest, nonce, floorMs);
    if (!time.ok) return time;

    const running = flash.record.banks[flash.record.activeBank];
    const verified = verifyBundle({
      trust: {
        director: before.director,
        ...(ecu.verification === 'full' && { images: before.images }),
      },
      verification: ecu.verification,
      bundle: bundle.value,
      nowMs: time.value.timeMs,
      vin: this.#device.nv.content.vin ?? this.#device.vin,
      ecu: {
        serial,
        hardwareId: this.#device.hardwareId,
        name: ecu.name,
        ...(running.content === 'valid' && { installedSha256: running.sha256 }),
        releaseCounter: trust.counters.security,
      },
    });
    if (!verified.ok) return verified;
    const { target, trust: after } = verified.value;
    const release =
      target === undefined ? accepted(undefined) : this.#release(target, after.director);
    if (!release.ok) return release;
    await trust.accept(
      { director: after.director, images: after.images ?? before.images },
      time.value.timeMs,
      roots.value.texts,
    );
    return release;
  }

  /**
   * Makes the release. `verifyBundle` has compared serial, hardware and counter; the remaining checks need this bank
   * and this boot record.
   */
  #release(target: VerifiedTarget, director: RepositoryTrust): Verdict<AcceptedRelease> {
    const { bankSize, address } = this.#device.ecu.memory;
    const refuse = (code: AttackCode, reason: string) =>
      refused(code, 'director targets', `${target.name} ${reason}`);
    if (target.length < 1 || target.length > bankSize) {
      return refuse('ENDLESS_DATA', `has ${target.length} bytes, a bank takes 1 to ${bankSize}`);
    }
    if (target.address !== undefined && target.address !== address) {
      const [wanted, own] = [target.address, address].map((at) => hexNumber(at, 8));
      return refuse('WRONG_HARDWARE', `is made for address ${wanted}, the bank is at ${own}`);
    }
    // The boot record limits the length of a version, and its characters must be safe in messages.
    if (!isVersionText(target.version)) {
      const text = JSON.stringify(target.version.slice(0, 40));
      return refuse('MALFORMED', `has version ${text}, expected 1 to 32 letters, digits, . + _ -`);
    }
    const files = filesOf(director);
    const targets = files.get('targets.json');
    const root = files.get('root.json');
    if (targets === undefined || root === undefined) {
      throw new Error('a verified Director has its Root and its Targets');
    }
    const header = headerOf(target);
    return accepted({
      header,
      format: target.encryption === undefined ? 'plain' : 'encrypted',
      record: encodeBankRecord(header, targets, root),
    });
  }
}
