// The signer's side of a repository: what is signed anew when, which names it gives, what it refuses to build on.

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/core/errors.ts';
import { RepositoryUpdate, trustRoot } from '../../src/trust/repository.ts';
import { RepositoryWriter } from '../../src/trust/repository-writer.ts';
import {
  buildRoot,
  buildTargets,
  parseSignedRole,
  type RoleKeys,
  signRole,
  type TargetSpec,
} from '../../src/trust/role-signing.ts';
import type { Signer } from '../../src/trust/signing-key.ts';
import { mockSigner } from '../support/mock-repository.ts';

const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 8, 1);
const signers = Object.fromEntries(
  ['root', 'targets', 'snapshot', 'timestamp'].map((role) => [role, [mockSigner(role)]]),
) as Record<'root' | 'targets' | 'snapshot' | 'timestamp', Signer[]>;
const image: TargetSpec = { length: 3, hashes: { sha256: 'abc' }, custom: { ecu: 'EDT' } };

function keysOf(held: readonly Signer[], threshold = held.length): RoleKeys {
  return { keys: held.map(({ publicKey }) => publicKey), threshold };
}

function create(options: { signers?: Record<string, Signer[]> } = {}): Promise<RepositoryWriter> {
  return RepositoryWriter.create({ nowMs: NOW, signers, ...options });
}

function opened(
  files: ReadonlyMap<string, Uint8Array>,
  held: Record<string, Signer[]>,
): RepositoryWriter {
  const verdict = RepositoryWriter.open(files, { signers: held });
  if (!verdict.ok) throw new Error(verdict.reason);
  return verdict.value;
}

function names(files: ReadonlyMap<string, Uint8Array>): string[] {
  return [...files.keys()].sort();
}

/** What the verifier says to the files of a repository, from its first Root. */
function verified(files: ReadonlyMap<string, Uint8Array>, nowMs: number): string {
  const root = trustRoot(files.get('1.root.json')!);
  if (!root.ok) return root.reason;
  const update = new RepositoryUpdate(root.value, nowMs);
  for (let request = update.next(); request !== undefined; request = update.next()) {
    const bytes = files.get(request.file);
    const verdict = update.accept(
      bytes === undefined ? { kind: 'missing' } : { kind: 'bytes', bytes },
    );
    if (!verdict.ok) return `${verdict.code} ${verdict.where}: ${verdict.reason}`;
  }
  return 'verified';
}

describe('a new repository', () => {
  it('publishes every role under both names, Timestamp under its plain one', async () => {
    const writer = await create();
    writer.putTarget('a.bin', image);
    const published = await writer.publish(NOW);
    expect(names(published)).toEqual(
      [
        ...['root', 'targets', 'snapshot'].flatMap((role) => [`1.${role}.json`, `${role}.json`]),
        'timestamp.json',
      ].sort(),
    );
    expect(names(writer.files())).toEqual(names(published));
    expect(verified(writer.files(), NOW)).toBe('verified');
  });

  it('names length and hash of what is below', async () => {
    const writer = await create();
    const files = await writer.publish(NOW);
    const snapshot = files.get('snapshot.json')!;
    const { signed } = parseSignedRole(files.get('timestamp.json')!);
    expect(signed.meta).toEqual({
      'snapshot.json': {
        version: 1,
        length: snapshot.length,
        hashes: { sha256: createHash('sha256').update(snapshot).digest('hex') },
      },
    });
  });

  it('names the vehicle of a Director in an empty list, too', async () => {
    const writer = await RepositoryWriter.create({ nowMs: NOW, signers, custom: { vin: 'V1' } });
    const files = await writer.publish(NOW);
    expect(parseSignedRole(files.get('targets.json')!).signed).toMatchObject({
      targets: {},
      custom: { vin: 'V1' },
    });
  });
});

describe('publishing again', () => {
  it('signs nothing where nothing has changed and half of the time is left', async () => {
    const writer = await create();
    await writer.publish(NOW);
    expect(names(await writer.publish(NOW + DAY_MS / 2))).toEqual([]);
    expect(names(await writer.publish(NOW + DAY_MS / 2 + 1))).toEqual(['timestamp.json']);
    expect(writer.version('timestamp')).toBe(2);
    expect(writer.version('snapshot')).toBe(1);
  });

  it('signs what changed and everything above', async () => {
    const writer = await create();
    await writer.publish(NOW);
    writer.putTarget('a.bin', image);
    expect(names(await writer.publish(NOW + 1))).toEqual([
      '2.snapshot.json',
      '2.targets.json',
      'snapshot.json',
      'targets.json',
      'timestamp.json',
    ]);
    expect(verified(writer.files(), NOW + 1)).toBe('verified');
    expect(writer.removeTarget('b.bin')).toBe(false);
    expect(names(await writer.publish(NOW + 2))).toEqual([]);
    expect(writer.removeTarget('a.bin')).toBe(true);
    await writer.publish(NOW + 3);
    expect([writer.version('targets'), writer.targets.size]).toEqual([3, 0]);
  });

  it('goes on from its files, versions and list included', async () => {
    const writer = await create();
    writer.putTarget('a.bin', image);
    writer.setDelegations([{ name: 's', ...keysOf(signers.targets), paths: ['s-*'] }]);
    await writer.publish(NOW);
    const again = opened(writer.files(), signers);
    expect(names(await again.publish(NOW))).toEqual([]);
    again.putTarget('b.bin', image);
    const files = await again.publish(NOW);
    const { signed } = parseSignedRole(files.get('2.targets.json')!);
    expect(Object.keys(signed.targets as object)).toEqual(['a.bin', 'b.bin']);
    expect(signed).toHaveProperty('delegations.roles.0.name', 's');
  });

  it('gives out what a failure in between left behind', async () => {
    let broken = true;
    const moody: Signer = {
      ...signers.snapshot[0]!,
      sign: (bytes) => {
        if (broken) throw new Error('the token was pulled');
        return signers.snapshot[0]!.sign(bytes);
      },
    };
    const writer = await create({ signers: { ...signers, snapshot: [moody] } });
    await expect(writer.publish(NOW)).rejects.toThrow('pulled');
    broken = false;
    expect(names(await writer.publish(NOW))).toContain('1.targets.json');
    expect(verified(writer.files(), NOW)).toBe('verified');
  });
});

describe('offline and online keys in two places', () => {
  it('sign their own roles only', async () => {
    const roles = Object.fromEntries(
      Object.entries(signers).map(([role, held]) => [role, keysOf(held)]),
    );
    const offline = await RepositoryWriter.create({
      nowMs: NOW,
      roles,
      signers: { root: signers.root, targets: signers.targets },
    });
    const first = await offline.publish(NOW);
    expect(names(first)).toEqual(['1.root.json', '1.targets.json', 'root.json', 'targets.json']);

    const { snapshot, timestamp } = signers;
    const online = opened(first, { snapshot, timestamp });
    await online.publish(NOW);
    expect(verified(online.files(), NOW)).toBe('verified');

    offline.putTarget('a.bin', image);
    const second = await offline.publish(NOW + 1);
    expect(online.putFile('targets.json', second.get('targets.json')!)).toMatchObject({ ok: true });
    expect(names(await online.publish(NOW + 1))).toContain('2.snapshot.json');
    expect(online.targets.has('a.bin')).toBe(true);
    expect(verified(online.files(), NOW + 1)).toBe('verified');
  });

  it('prepare Targets for keys that are elsewhere', async () => {
    const writer = await create();
    await writer.publish(NOW);
    writer.putTarget('a.bin', image);
    const payload = writer.nextTargets(NOW);
    expect(payload).toMatchObject({ _type: 'targets', version: 2, targets: { 'a.bin': image } });
    expect(writer.version('targets')).toBe(1);
  });

  it('list the files of delegated roles', async () => {
    const writer = await create();
    const supplier = [mockSigner('supplier')];
    writer.setDelegations([{ name: 'supplier', ...keysOf(supplier), paths: ['s-*'] }]);
    const file = await signRole(
      buildTargets({ version: 5, expiresMs: NOW + DAY_MS, targets: { 's-1': image } }),
      supplier,
    );
    expect(writer.putFile('supplier.json', file)).toMatchObject({ ok: true });
    const files = await writer.publish(NOW);
    expect(names(files)).toContain('5.supplier.json');
    expect(parseSignedRole(files.get('snapshot.json')!).signed.meta).toHaveProperty(
      ['supplier.json', 'version'],
      5,
    );
  });
});

describe('a rotation', () => {
  async function nextRoot(roles: Record<string, RoleKeys>): Promise<Uint8Array> {
    return signRole(buildRoot({ version: 2, expiresMs: NOW + DAY_MS, roles }), signers.root);
  }
  const rolesWith = (held: Record<string, Signer[]>): Record<string, RoleKeys> =>
    Object.fromEntries(
      Object.entries({ ...signers, ...held }).map(([role, all]) => [role, keysOf(all)]),
    );

  it('makes the new keys sign what the old ones had signed, before it is due', async () => {
    const writer = await create();
    await writer.publish(NOW);
    const fresh = [mockSigner('new timestamp')];
    const both = opened(writer.files(), {
      ...signers,
      timestamp: [...signers.timestamp, ...fresh],
    });
    both.putFile('root.json', await nextRoot(rolesWith({ timestamp: fresh })));
    expect(names(await both.publish(NOW))).toEqual(['2.root.json', 'root.json', 'timestamp.json']);
    const { signatures } = parseSignedRole(both.files().get('timestamp.json')!);
    expect(signatures.map(({ keyid }) => keyid)).toEqual([fresh[0]!.keyId]);
    expect(verified(both.files(), NOW)).toBe('verified');
  });

  it('is told to whoever still has the old key only', async () => {
    const writer = await create();
    await writer.publish(NOW);
    const roles = rolesWith({ snapshot: [mockSigner('new snapshot')] });
    writer.putFile('root.json', await nextRoot(roles));
    const failure = await writer.publish(NOW).catch((error) => error);
    expect(failure).toBeInstanceOf(InputError);
    expect(failure.message).toMatch(/keys of snapshot: Root version 2 needs 1 signatures/);
  });

  it('of the Targets key leaves a list that the old key signed readable, for its successor', async () => {
    const writer = await create();
    writer.putTarget('a.bin', image);
    await writer.publish(NOW);
    const fresh = [mockSigner('new targets')];
    const files = new Map(writer.files());
    files.set('2.root.json', await nextRoot(rolesWith({ targets: fresh })));
    const next = opened(files, { ...signers, targets: fresh });
    expect(names(await next.publish(NOW))).toContain('2.targets.json');
    expect(next.targets.has('a.bin')).toBe(true);
    expect(verified(next.files(), NOW)).toBe('verified');
  });
});

describe('files that are refused', () => {
  it('a list that nobody here may sign', async () => {
    const writer = await create();
    await writer.publish(NOW);
    const files = new Map(writer.files());
    const stranger = await signRole(
      buildTargets({ version: 9, expiresMs: NOW + DAY_MS, targets: { evil: image } }),
      [mockSigner('stranger')],
    );
    files.set('9.targets.json', stranger);
    expect(RepositoryWriter.open(files, { signers })).toMatchObject({ code: 'ARBITRARY_SOFTWARE' });
    expect(writer.putFile('targets.json', stranger)).toMatchObject({ code: 'ARBITRARY_SOFTWARE' });
    expect(writer.targets.has('evil')).toBe(false);
    expect(names(await writer.publish(NOW))).toEqual([]);
  });

  it('older ones, damaged ones, and none at all', async () => {
    const writer = await create();
    const old = (await writer.publish(NOW)).get('targets.json')!;
    writer.putTarget('a.bin', image);
    await writer.publish(NOW);
    expect(writer.putFile('targets.json', old)).toMatchObject({ ok: false, code: 'ROLLBACK' });
    const damaged = new Map([['root.json', new Uint8Array([0x7b])]]);
    expect(RepositoryWriter.open(damaged, { signers })).toMatchObject({ code: 'MALFORMED' });
    expect(RepositoryWriter.open(new Map(), { signers })).toMatchObject({
      code: 'MISSING_METADATA',
    });
  });

  it('a list in another form, though it is signed', async () => {
    const writer = await create();
    const file = await signRole(
      {
        ...buildTargets({ version: 1, expiresMs: NOW, targets: {} }),
        targets: { a: { length: -1 } },
      },
      signers.targets,
    );
    expect(writer.putFile('targets.json', file)).toMatchObject({ ok: false, code: 'MALFORMED' });
  });
});
