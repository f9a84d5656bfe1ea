// The bench's keys: the same everywhere, and bundles that every verification accepts until one byte changes.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { toHex } from '../../src/core/bytes.ts';
import {
  benchApprovalKey,
  benchEcuIdentity,
  benchWorld,
  isShippedSecret,
  SHIPPED_SECRETS,
} from '../../src/trust/bench-keys.ts';
import { decodeBundle } from '../../src/trust/bundle.ts';
import { verifyBundle } from '../../src/trust/partial-verification.ts';
import { versionsOf } from '../../src/trust/repository.ts';
import { vehicleSchema } from '../../src/vehicle/schema.ts';
import {
  bundleWith,
  EDT,
  INV,
  MODES,
  NOW_MS,
  type Receipt,
  receive,
  VIN,
  virginState,
  virginTrust,
} from './bench-keys-support.ts';

const DIGESTS_OF_ROOTS = [
  '712b2825cb5f4733c203e1de91baac1cfe76fd0ecb9ba560858395e1f71e6d08',
  '31819ea5c8cf889549afa244333da5f48b8f6551e8eecd93addc79c963a91d94',
];

describe('the world of a bench', () => {
  it('is the same in every process', () => {
    const digests = [benchWorld().directorRoot, benchWorld().imagesRoot].map((bytes) =>
      createHash('sha256').update(bytes).digest('hex'),
    );
    // ECUs keep these Roots in their flash files: another one here would lock out every bench that is provisioned.
    expect(digests).toEqual(DIGESTS_OF_ROOTS);
    expect(benchWorld()).toBe(benchWorld());
  });

  it('has a key of its own for each role', () => {
    const { director, images } = benchWorld();
    const ids = [...Object.values(director), ...Object.values(images)].map(({ keyId }) => keyId);
    expect(new Set(ids).size).toBe(9);
  });

  it('has an identity for each ECU, by name or by serial', () => {
    const edt = benchEcuIdentity('EDT');
    expect(edt.serial).toBe('BENCH-EDT');
    expect(benchEcuIdentity('BENCH-EDT')).toEqual(edt);
    const secrets = ['EDT', 'INV'].flatMap((name) => {
      const own = benchEcuIdentity(name);
      const { signingSeed, encryption, deviceSecret, securityAccessKey } = own;
      return [signingSeed, encryption.privateKey, deviceSecret, securityAccessKey].map(toHex);
    });
    expect(new Set([...secrets, toHex(benchApprovalKey())]).size).toBe(9);
    for (const secret of secrets) expect(secret).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe.each(MODES)('a bundle for %s verification', (verification) => {
  const state = virginState(verification);

  it('is accepted by the ECU that it is for', () => {
    const verdict = receive(bundleWith({ state, ecus: [EDT, INV] }), { verification });
    if (!verdict.ok) throw new Error(verdict.reason);
    expect(verdict.value.target).toEqual({
      serial: 'BENCH-EDT',
      hardwareId: 'EDT-HW-1',
      name: EDT.image.name,
      length: 65_536,
      hashes: { sha256: 'ab'.repeat(32) },
      sha256: 'ab'.repeat(32),
      ecu: 'EDT',
      version: '2.0.0',
      releaseCounter: 3,
      dependencies: { INV: '>=1.0.0' },
      encrypt: false,
      forced: false,
      notes: '',
      encryption: undefined,
    });
    const other = receive(bundleWith({ state, ecus: [EDT, INV] }), {
      verification,
      serial: 'BENCH-INV',
    });
    expect(other).toMatchObject({ ok: true, value: { target: { name: INV.image.name } } });
  });

  it('may have nothing for it', () => {
    for (const ecus of [[], [INV]]) {
      const verdict = receive(bundleWith({ state, ecus }), { verification });
      expect(verdict).toMatchObject({ ok: true, value: { target: undefined } });
    }
  });

  it('names the encrypted image', () => {
    const encryption = {
      file: 'EDT-2.0.0.enc',
      length: 66_000,
      sha256: 'ef'.repeat(32),
      method: 'X25519-HKDF-SHA256-AES-256-GCM',
    } as const;
    const ecus = [{ ...EDT, image: { ...EDT.image, encryption } }];
    const verdict = receive(bundleWith({ state, ecus }), { verification });
    expect(verdict).toMatchObject({ ok: true, value: { target: { encrypt: true, encryption } } });
  });

  it('one image can be for several ECUs', () => {
    const twin = { ...EDT, serial: 'CO-000007', hardwareId: 'EDT-HW-2', ecu: 'EDT' };
    const verdict = receive(bundleWith({ state, ecus: [EDT, twin] }), { verification });
    expect(verdict).toMatchObject({ ok: true, value: { target: { hardwareId: 'EDT-HW-1' } } });
  });

  it('that comes later is newer than all that the ECU has, whatever the clock says', () => {
    let trust = virginTrust();
    let known = state;
    let last: ReturnType<typeof versionsOf> | undefined;
    for (const timeMs of [NOW_MS, NOW_MS, NOW_MS + 500, NOW_MS + 5000, NOW_MS - 86_000_000]) {
      const verdict = receive(bundleWith({ state: known, timeMs }), { verification, trust });
      if (!verdict.ok) throw new Error(verdict.reason);
      trust = verdict.value.trust;
      const director = versionsOf(trust.director);
      expect(director.targets).toBeGreaterThan(last?.targets ?? 0);
      last = director;
      known = { ...state, director, images: versionsOf(trust.images!) };
    }
    expect(last!.targets).toBeGreaterThanOrEqual(Math.floor(NOW_MS / 1000));
  });

  it('is refused when a file of it is missing', () => {
    const whole = decodeBundle(bundleWith({ state }));
    if (!whole.ok) throw new Error(whole.reason);
    for (const repository of ['director', 'images'] as const) {
      for (const file of whole.value[repository].keys()) {
        const files = new Map(whole.value[repository]);
        files.delete(file);
        const verdict = verifyBundle({
          trust: virginTrust(),
          verification,
          bundle: { ...whole.value, [repository]: files },
          nowMs: NOW_MS,
          vin: VIN,
          ecu: { serial: 'BENCH-EDT', hardwareId: 'EDT-HW-1' },
        });
        expect([file, verdict.ok ? 'accepted' : verdict.code]).toEqual([file, 'MISSING_METADATA']);
      }
    }
  });
});

describe('a bundle', () => {
  it('for partial verification has one file', () => {
    const bundle = decodeBundle(bundleWith({ state: virginState('partial') }));
    if (!bundle.ok) throw new Error(bundle.reason);
    expect([...bundle.value.director.keys()]).toEqual(['targets.json']);
    expect(bundle.value.images.size).toBe(0);
  });

  it('of another vehicle, for another nonce or of yesterday is refused', () => {
    const codeOf = (bytes: Uint8Array, how: Receipt = {}): string => {
      const verdict = receive(bytes, how);
      return verdict.ok ? 'accepted' : verdict.code;
    };
    expect(codeOf(bundleWith({ vin: 'OTHER' }))).toBe('WRONG_VEHICLE');
    expect(codeOf(bundleWith({ nonce: 'ff'.repeat(16) }))).toBe('FREEZE');
    const first = receive(bundleWith());
    if (!first.ok) throw new Error(first.reason);
    const older = bundleWith({ timeMs: NOW_MS - 86_400_000 });
    expect(codeOf(older, { trust: first.value.trust })).toBe('ROLLBACK');
  });
});

describe('secrets that everybody has', () => {
  const file = readFileSync(new URL('../../ecus/bench-vehicle.yaml', import.meta.url), 'utf8');
  const vehicle = vehicleSchema.parse(parse(file));
  const shipped = [
    vehicle.approval?.key,
    ...vehicle.ecus.map(({ security }) =>
      security.algorithm === 'hmac-sha256' ? security.secret : undefined,
    ),
  ].filter((secret) => secret !== undefined);

  it('are all of the bench vehicle, and their digests are not theirs', () => {
    expect(shipped).toHaveLength(5);
    expect(SHIPPED_SECRETS.size).toBe(5);
    for (const secret of shipped) {
      expect(isShippedSecret(secret)).toBe(true);
      expect(isShippedSecret(secret.toUpperCase())).toBe(true);
      expect(SHIPPED_SECRETS.has(secret)).toBe(false);
    }
  });

  it('are those of the bench identities', () => {
    expect(isShippedSecret(toHex(benchApprovalKey()))).toBe(true);
    for (const name of ['TMU', 'CGW', 'EDT', 'INV', 'BMS']) {
      const { securityAccessKey, deviceSecret, signingSeed } = benchEcuIdentity(name);
      for (const secret of [securityAccessKey, deviceSecret, signingSeed]) {
        expect(isShippedSecret(toHex(secret))).toBe(true);
      }
    }
  });

  it('are no others', () => {
    expect(isShippedSecret('00'.repeat(32))).toBe(false);
    expect(isShippedSecret(shipped[0]!.replace(/^./, '0'))).toBe(false);
    expect(isShippedSecret('')).toBe(false);
  });
});
