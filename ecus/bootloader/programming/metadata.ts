// What an ECU does with metadata before anything is erased: every check of the receipt, in the standard's order.

import { fromHex, toHex } from '../../../src/core/bytes.ts';
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

/** One life of an ECU: the nonce is in RAM, and a reset forgets it. */
export class MetadataCheck {
  readonly #device: BootedEcu;
  readonly #random: Random;
  #nonce: string | undefined;

  constructor(device: BootedEcu, random: Random) {
    this.#device = device;
    this.#random = random;
  }

  /**
   * For DID FD21: the next time attestation must carry it. It stays until a bundle has used it, so that a foreign read
   * does not spoil a bundle that is under way.
   */
  nonce(): Uint8Array {
    this.#nonce ??= toHex(this.#random.bytes(NONCE_BYTES));
    return fromHex(this.#nonce);
  }

  /**
   * Everything about a bundle; what is accepted is durable when this resolves, what is refused has changed nothing.
   * Undefined: it is in order, and has no image for this ECU. Throws StorageError.
   */
  async accept(bytes: Uint8Array): Promise<Verdict<AcceptedRelease | undefined>> {
    const { identity, trust, flash, ecu } = this.#device;
    const { serial } = identity.content;
    const before = trust.trust;
    if (before === undefined || serial === null) throw new Error('the ECU is not provisioned');
    const bundle = decodeBundle(bytes);
    if (!bundle.ok) return bundle;

    // Step 1 of 5.4.4.1 and 5.4.4.2 is the time, and who may sign the time is in the newest Root.
    const roots = newerRoots(before.director, bundle.value.director);
    if (!roots.ok) return roots;
    const nonce = this.#nonce;
    this.#nonce = undefined;
    if (nonce === undefined) {
      return refused('FREEZE', 'time', 'no nonce is outstanding: read DID FD21 before each bundle');
    }
    // A time far ahead that a stolen key has signed goes with that key: it would keep everything expired for ever.
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
   * Serial, hardware and counter were compared by `verifyBundle`, which got them as facts. What is left is what only
   * the ECU knows: this bank and this boot record.
   */
  #release(target: VerifiedTarget, director: RepositoryTrust): Verdict<AcceptedRelease> {
    const { bankSize } = this.#device.ecu.memory;
    const refuse = (code: AttackCode, reason: string) =>
      refused(code, 'director targets', `${target.name} ${reason}`);
    if (target.length < 1 || target.length > bankSize) {
      return refuse('ENDLESS_DATA', `has ${target.length} bytes, a bank takes 1 to ${bankSize}`);
    }
    // The boot record has room for so much, and a version must not be taken for anything else.
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
