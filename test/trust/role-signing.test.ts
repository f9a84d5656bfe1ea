// Role payloads and their signatures, against literals and against the TUF library's own verifier.

import { createPublicKey, verify } from 'node:crypto';
import { Metadata, MetadataKind } from '@tufjs/models';
import { describe, expect, it } from 'vitest';
import {
  addSignature,
  buildRoot,
  buildSnapshot,
  buildTargets,
  buildTimestamp,
  countSignatures,
  expiryText,
  fileBytes,
  parseSignedRole,
  payloadBytes,
  roleKeysOf,
  signRole,
  signRoleNow,
} from '../../src/trust/role-signing.ts';
import type { Signer } from '../../src/trust/signing-key.ts';
import { mockSigner } from '../support/mock-repository.ts';

const EXPIRES = Date.UTC(2027, 0, 2, 3, 4, 5, 678);
const [ann, bob, eve] = ['ann', 'bob', 'eve'].map(mockSigner) as [Signer, Signer, Signer];

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function keysOf(...signers: readonly Signer[]) {
  return signers.map(({ publicKey }) => publicKey);
}

describe('payloads', () => {
  it('of Timestamp are these bytes', () => {
    const timestamp = buildTimestamp({
      version: 7,
      expiresMs: EXPIRES,
      snapshot: { version: 3, length: 4, hashes: { sha256: 'ab' } },
    });
    expect(textOf(payloadBytes(timestamp))).toBe(
      '{"_type":"timestamp","expires":"2027-01-02T03:04:05Z","meta":{"snapshot.json":' +
        '{"hashes":{"sha256":"ab"},"length":4,"version":3}},"spec_version":"1.0.31","version":7}',
    );
  });

  it('expire in whole seconds, never later than told', () => {
    expect(expiryText(EXPIRES)).toBe('2027-01-02T03:04:05Z');
    expect(expiryText(Date.UTC(2027, 0, 1, 0, 0, 0, 999))).toBe('2027-01-01T00:00:00Z');
  });

  it('of Root name each key once, by its id, for all its roles', () => {
    const role = { keys: keysOf(ann), threshold: 1 };
    const root = buildRoot({
      version: 1,
      expiresMs: EXPIRES,
      roles: {
        root: { keys: keysOf(ann, bob), threshold: 2 },
        timestamp: role,
        snapshot: role,
        targets: role,
        time: { keys: keysOf(bob), threshold: 1 },
      },
    });
    expect(Object.keys(root.keys as object).sort()).toEqual([ann.keyId, bob.keyId].sort());
    expect(root.roles).toMatchObject({
      root: { keyids: [ann.keyId, bob.keyId], threshold: 2 },
      time: { keyids: [bob.keyId], threshold: 1 },
    });
    expect(root.consistent_snapshot).toBe(true);
    expect(roleKeysOf(root, 'time')).toEqual({ keys: keysOf(bob), threshold: 1 });
    expect(roleKeysOf(root, 'toString')).toBeUndefined();
  });

  it('of Targets carry the vehicle, images and delegations in their order', () => {
    const targets = buildTargets({
      version: 1,
      expiresMs: EXPIRES,
      targets: { 'a.bin': { length: 1, hashes: { sha256: 'aa' }, custom: { ecu: 'EDT' } } },
      custom: { vin: 'V1' },
      delegations: [
        { name: 'z', keys: keysOf(ann), threshold: 1, paths: ['z-*'], hardwareIds: ['H'] },
        {
          name: 'both',
          paths: ['b-*'],
          terminating: true,
          minRolesInAgreement: 2,
          roles: [
            { name: 'maker', keys: keysOf(ann), threshold: 1 },
            { name: 'tester', keys: keysOf(bob), threshold: 1 },
          ],
        },
      ],
    });
    expect(targets).toMatchObject({
      custom: { vin: 'V1' },
      targets: { 'a.bin': { length: 1, hashes: { sha256: 'aa' }, custom: { ecu: 'EDT' } } },
    });
    const { keys, ...delegations } = targets.delegations as Record<string, object>;
    expect(Object.keys(keys!).sort()).toEqual([ann.keyId, bob.keyId].sort());
    expect(delegations).toEqual(DELEGATIONS);
    // An empty list of images is one; no list of delegations is none (Director, 5.4.4.6 step 7).
    const empty = buildTargets({ version: 1, expiresMs: EXPIRES, targets: {} });
    expect(empty).toMatchObject({ targets: {} });
    expect(empty).not.toHaveProperty('delegations');
    expect(empty).not.toHaveProperty('custom');
  });
});

const DELEGATIONS = {
  roles: [
    {
      name: 'z',
      terminating: false,
      paths: ['z-*'],
      hardwareIds: ['H'],
      keyids: [ann.keyId],
      threshold: 1,
    },
    {
      name: 'both',
      terminating: true,
      paths: ['b-*'],
      keyids: [],
      threshold: 1,
      min_roles_in_agreement: 2,
      roles: [
        { name: 'maker', keyids: [ann.keyId], threshold: 1 },
        { name: 'tester', keyids: [bob.keyId], threshold: 1 },
      ],
    },
  ],
};

describe('signatures', () => {
  const snapshot = buildSnapshot({
    version: 2,
    expiresMs: EXPIRES,
    meta: { 'targets.json': { version: 9 } },
  });

  it('are over the canonical form, whatever the text of the file looks like', async () => {
    const { signed, signatures } = parseSignedRole(await signRole(snapshot, [ann]));
    expect(signed).toEqual(snapshot);
    const key = createPublicKey({
      key: {
        kty: 'OKP',
        crv: 'Ed25519',
        x: Buffer.from(ann.publicKey.keyval.public, 'hex').toString('base64url'),
      },
      format: 'jwk',
    });
    const canonical =
      '{"_type":"snapshot","expires":"2027-01-02T03:04:05Z","meta":{"targets.json":{"version":9}},' +
      '"spec_version":"1.0.31","version":2}';
    const sig = Buffer.from(signatures[0]!.sig, 'hex');
    expect(verify(null, Buffer.from(canonical), key, sig)).toBe(true);
  });

  it('satisfy the verifier of the TUF library', async () => {
    const role = { keys: keysOf(ann), threshold: 1 };
    const rootPayload = buildRoot({
      version: 1,
      expiresMs: EXPIRES,
      roles: {
        root: { keys: keysOf(ann, bob), threshold: 2 },
        timestamp: role,
        snapshot: role,
        targets: role,
      },
    });
    const bytes = signRoleNow(rootPayload, [ann, bob]);
    const root = Metadata.fromJSON(MetadataKind.Root, JSON.parse(textOf(bytes)));
    expect(() => root.verifyDelegate('root', root)).not.toThrow();
    const file = await signRole(snapshot, [ann]);
    const read = Metadata.fromJSON(MetadataKind.Snapshot, JSON.parse(textOf(file)));
    expect(() => root.verifyDelegate('snapshot', read)).not.toThrow();
    const wrong = await signRole(snapshot, [eve]);
    const other = Metadata.fromJSON(MetadataKind.Snapshot, JSON.parse(textOf(wrong)));
    expect(() => root.verifyDelegate('snapshot', other)).toThrow();
  });

  it('are counted by key: one that signed twice, or wrongly, or is unknown, brings nothing', async () => {
    const role = { keys: keysOf(ann, bob), threshold: 2 };
    const once = parseSignedRole(await signRole(snapshot, [ann]));
    expect(countSignatures(once, role)).toEqual({
      signed: [ann.keyId],
      unsigned: [bob.keyId],
      missing: 1,
    });
    const twice = { ...once, signatures: [...once.signatures, ...once.signatures] };
    expect(countSignatures(twice, { ...role, keys: keysOf(ann, ann) }).missing).toBe(1);
    const { sig } = once.signatures[0]!;
    const forged = { ...once, signatures: [...once.signatures, { keyid: bob.keyId, sig }] };
    expect(countSignatures(forged, role).missing).toBe(1);
    const stranger = parseSignedRole(await signRole(snapshot, [ann, eve]));
    expect(countSignatures(stranger, role).missing).toBe(1);
    const changed = { ...once, signed: { ...once.signed, version: 3 } };
    expect(countSignatures(changed, role).signed).toEqual([]);
  });

  it('are added one person after the other, and replaced when somebody signs again', async () => {
    const role = { keys: keysOf(ann, bob), threshold: 2 };
    const first = await signRole(snapshot, []);
    const second = await addSignature(await addSignature(first, bob), ann);
    expect(countSignatures(parseSignedRole(second), role).missing).toBe(0);
    const spoiled = parseSignedRole(second);
    const broken = fileBytes({
      ...spoiled,
      signatures: spoiled.signatures.map((each) => ({ ...each, sig: '00' })),
    });
    const again = parseSignedRole(await addSignature(await addSignature(broken, ann), bob));
    expect(again.signatures).toHaveLength(2);
    expect(countSignatures(again, role).missing).toBe(0);
  });

  it('wait for a key that takes its time, where they can', async () => {
    const slow: Signer = { ...ann, sign: async (bytes) => ann.sign(bytes) };
    expect(await signRole(snapshot, [slow])).toEqual(signRoleNow(snapshot, [ann]));
    expect(() => signRoleNow(snapshot, [slow])).toThrow(TypeError);
  });
});

describe('parseSignedRole', () => {
  it.each([
    ['', SyntaxError],
    ['null', TypeError],
    ['{"signed":{"_type":"root"},"signatures":[]}', TypeError],
    ['{"signed":{"_type":"root","version":1.5},"signatures":[]}', TypeError],
    ['{"signed":{"_type":"root","version":1}}', TypeError],
    ['{"signed":{"_type":"root","version":1},"signatures":[{"keyid":1,"sig":""}]}', TypeError],
    ['{"signed":{"_type":"root","version":1},"signatures":[null]}', TypeError],
  ])('refuses %s', (text, error) => {
    expect(() => parseSignedRole(new TextEncoder().encode(text))).toThrow(error);
  });
});
