// One repository, attacked file by file: what is refused, with which code, and what stays trusted.

import { describe, expect, it } from 'vitest';
import type { AttackCode } from '../../../src/trust/attack.ts';
import {
  checkRootChain,
  checkTargetsFile,
  filesOf,
  type MetadataRequest,
  type RepositoryTrust,
  RepositoryUpdate,
  restoreTrust,
  trustRoot,
  versionsOf,
} from '../../../src/trust/repository.ts';
import { MOCK_NOW_MS, MockRepository, mockSigner } from '../../support/mock-repositories.ts';
import { anchorOf, DAY_MS, image, mockImages, must, update, updated } from './support.ts';

function requests(
  repository: MockRepository,
  trust: RepositoryTrust,
  upTo?: 'timestamp' | 'snapshot',
): string[] {
  const refresh = new RepositoryUpdate(trust, MOCK_NOW_MS, upTo === undefined ? {} : { upTo });
  const files: string[] = [];
  for (let next = refresh.next(); next !== undefined; next = refresh.next()) {
    files.push(next.file);
    must(refresh.accept(repository.answer(next)));
  }
  return files;
}

describe('an update', () => {
  it('asks for the next Root, Timestamp, Snapshot and Targets by version, then knows all', () => {
    const images = mockImages();
    const asked = ['2.root.json', 'timestamp.json', '1.snapshot.json', '1.targets.json'];
    expect(requests(images, anchorOf(images))).toEqual(asked);
    expect(versionsOf(updated(images))).toEqual({
      root: 1,
      timestamp: 1,
      snapshot: 1,
      targets: 1,
    });
  });

  it('asks for no more than Root and Timestamp when there is nothing new', () => {
    const images = mockImages();
    expect(requests(images, updated(images))).toEqual(['2.root.json', 'timestamp.json']);
  });

  it('asks for what is new only', () => {
    const images = mockImages();
    const trust = updated(images);
    images.addTarget('more.bin', image(2));
    const asked = ['2.root.json', 'timestamp.json', '2.snapshot.json', '2.targets.json'];
    expect(requests(images, trust)).toEqual(asked);
    expect(requests(images, trust, 'timestamp')).toEqual(asked.slice(0, 2));
    expect(requests(images, trust, 'snapshot')).toEqual(asked.slice(0, 3));
  });

  it('asks by unversioned names where the repository keeps one version only', () => {
    const images = new MockRepository('images', {
      nowMs: MOCK_NOW_MS,
      consistentSnapshot: false,
    });
    const asked = ['2.root.json', 'timestamp.json', 'snapshot.json', 'targets.json'];
    expect(requests(images, anchorOf(images))).toEqual(asked);
  });

  it('limits every file, by what was signed where something was', () => {
    const images = mockImages();
    const refresh = new RepositoryUpdate(anchorOf(images), MOCK_NOW_MS);
    const limits: MetadataRequest[] = [];
    for (let next = refresh.next(); next !== undefined; next = refresh.next()) {
      limits.push(next);
      must(refresh.accept(images.answer(next)));
    }
    expect(limits.map(({ role, maxBytes, optional }) => [role, maxBytes, optional])).toEqual([
      ['root', 512_000, true],
      ['timestamp', 16_384, false],
      ['snapshot', images.file('snapshot.json').length, false],
      ['targets', images.file('targets.json').length, false],
    ]);
  });

  it('cannot be answered when it asks for nothing', () => {
    const images = mockImages();
    const refresh = new RepositoryUpdate(anchorOf(images), MOCK_NOW_MS);
    while (refresh.next() !== undefined) must(refresh.accept(images.answer(refresh.next()!)));
    expect(() => refresh.accept({ kind: 'missing' })).toThrow('nothing was asked for');
  });
});

type Attack = readonly [
  attacker: string,
  attack: (images: MockRepository) => unknown,
  where: string,
  code: AttackCode,
  /** What is trusted afterwards; version 1 of everything was trusted before. */
  trusted: { root: number; timestamp: number; snapshot: number; targets: number },
];

const ALL_OLD = { root: 1, timestamp: 1, snapshot: 1, targets: 1 };
const TIMESTAMP_NEW = { ...ALL_OLD, timestamp: 2 };
const SNAPSHOT_NEW = { ...TIMESTAMP_NEW, snapshot: 2 };

const ATTACKS: readonly Attack[] = [
  ['has no keys', (it) => it.foreignKeys('root'), 'root', 'ARBITRARY_SOFTWARE', ALL_OLD],
  ['has no keys', (it) => it.foreignKeys('timestamp'), 'timestamp', 'ARBITRARY_SOFTWARE', ALL_OLD],
  [
    'has the Timestamp key',
    (it) => it.foreignKeys('snapshot'),
    'snapshot',
    'ARBITRARY_SOFTWARE',
    TIMESTAMP_NEW,
  ],
  [
    'has the Timestamp and Snapshot keys',
    (it) => it.foreignKeys('targets'),
    'targets',
    'ARBITRARY_SOFTWARE',
    SNAPSHOT_NEW,
  ],
  [
    'has one Root key of two',
    (it) => it.tooFewSignatures('root'),
    'root',
    'ARBITRARY_SOFTWARE',
    ALL_OLD,
  ],
  [
    'has one Root key and signs with it under two ids',
    (it) => it.oneKeyUnderTwoIds('root'),
    'root',
    'KEY_CONFUSION',
    ALL_OLD,
  ],
  [
    'has the Root keys, one Timestamp key, and names it twice',
    (it) => it.oneKeyUnderTwoIds('timestamp'),
    'root',
    'KEY_CONFUSION',
    ALL_OLD,
  ],
  ['counts from zero', (it) => it.setVersion('timestamp', 0), 'timestamp', 'MALFORMED', ALL_OLD],
  [
    'has the Root keys and skips one',
    (it) => it.setVersion('root', 2).newRoot(),
    'root',
    'ROLLBACK',
    ALL_OLD,
  ],
  ['keeps Timestamp', (it) => it.expire('timestamp'), 'timestamp', 'FREEZE', ALL_OLD],
  ['keeps Snapshot', (it) => it.expire('snapshot'), 'snapshot', 'FREEZE', TIMESTAMP_NEW],
  ['keeps Targets', (it) => it.expire('targets'), 'targets', 'FREEZE', SNAPSHOT_NEW],
  ['keeps Root', (it) => it.expire('root'), 'root', 'FREEZE', { ...ALL_OLD, root: 2 }],
  [
    'withholds Timestamp',
    (it) => it.omit('timestamp.json'),
    'timestamp',
    'MISSING_METADATA',
    ALL_OLD,
  ],
  [
    'withholds Snapshot',
    (it) => it.omit('2.snapshot.json'),
    'snapshot',
    'MISSING_METADATA',
    TIMESTAMP_NEW,
  ],
  [
    'withholds Targets',
    (it) => it.omit('2.targets.json'),
    'targets',
    'MISSING_METADATA',
    SNAPSHOT_NEW,
  ],
  ['never ends', (it) => it.endless('2.root.json'), 'root', 'ENDLESS_DATA', ALL_OLD],
  ['never ends', (it) => it.endless('timestamp.json'), 'timestamp', 'ENDLESS_DATA', ALL_OLD],
  ['never ends', (it) => it.endless('2.targets.json'), 'targets', 'ENDLESS_DATA', SNAPSHOT_NEW],
  ['dawdles', (it) => it.slow('2.snapshot.json'), 'snapshot', 'SLOW_RETRIEVAL', TIMESTAMP_NEW],
  [
    'mixes an old Snapshot with a new Timestamp',
    (it) => it.replace('2.snapshot.json', OLD.file('snapshot.json')),
    'snapshot',
    'MIX_AND_MATCH',
    TIMESTAMP_NEW,
  ],
  [
    'mixes old Targets with a new Snapshot',
    (it) => it.replace('2.targets.json', OLD.file('targets.json')),
    'targets',
    'MIX_AND_MATCH',
    SNAPSHOT_NEW,
  ],
  [
    'has the Targets key and signs other Targets of the same version',
    (it) => {
      const other = mockImages().addTarget('app.bin', image(6)).setVersion('targets', 2);
      it.replace('2.targets.json', other.file('targets.json'));
    },
    'targets',
    'MIX_AND_MATCH',
    SNAPSHOT_NEW,
  ],
  [
    'writes a string that has another form, too',
    (it) => it.edit('timestamp', (all) => ({ ...all, note: 'e\u0301' })),
    'timestamp',
    'MALFORMED',
    ALL_OLD,
  ],
  [
    'serves Snapshot as Timestamp',
    (it) => it.replace('timestamp.json', OLD.file('snapshot.json')),
    'timestamp',
    'MALFORMED',
    ALL_OLD,
  ],
  [
    'writes a name twice',
    (it) => it.duplicateJsonKey('timestamp'),
    'timestamp',
    'MALFORMED',
    ALL_OLD,
  ],
  [
    'sends no JSON',
    (it) => it.replace('timestamp.json', Uint8Array.of(0x7b)),
    'timestamp',
    'MALFORMED',
    ALL_OLD,
  ],
  [
    'changes what was signed',
    (it) => it.editText('timestamp', (text) => text.replace('"version":2', '"version":3')),
    'timestamp',
    'ARBITRARY_SOFTWARE',
    ALL_OLD,
  ],
  [
    'adds a field to what was signed',
    (it) => it.editText('timestamp', (text) => text.replace('"version":2', '"version":2,"x":1')),
    'timestamp',
    'ARBITRARY_SOFTWARE',
    ALL_OLD,
  ],
  [
    'repeats a signature',
    (it) => it.editText('timestamp', (text) => text.replace(/\[(\{.*?\})\]/, '[$1,$1]')),
    'timestamp',
    'MALFORMED',
    ALL_OLD,
  ],
  [
    'has the Timestamp key and goes back to Snapshot 0',
    (it) => editMeta(it, 'timestamp', 'snapshot.json', 0),
    'timestamp',
    'MALFORMED',
    ALL_OLD,
  ],
  [
    'has the Timestamp key and names no hash',
    (it) => it.edit('timestamp', (all) => ({ ...all, meta: { 'snapshot.json': { version: 2 } } })),
    'timestamp',
    'MALFORMED',
    ALL_OLD,
  ],
  [
    'has the Timestamp key and names a hash that nobody knows',
    (it) =>
      it.edit('timestamp', (all) => ({
        ...all,
        meta: { 'snapshot.json': { version: 2, hashes: { crc32: '00000000' } } },
      })),
    'snapshot',
    'MIX_AND_MATCH',
    TIMESTAMP_NEW,
  ],
  [
    'has the Snapshot key and forgets Targets',
    (it) => it.edit('snapshot', (all) => ({ ...all, meta: {} })),
    'snapshot',
    'ROLLBACK',
    TIMESTAMP_NEW,
  ],
  [
    'has the Snapshot key and names another version of Targets',
    (it) => editMeta(it, 'snapshot', 'targets.json', 3),
    'targets',
    'MISSING_METADATA',
    SNAPSHOT_NEW,
  ],
  [
    'has the Targets key and another year',
    (it) => it.edit('targets', (all) => ({ ...all, expires: '2030-02-30T00:00:00Z' })),
    'targets',
    'MALFORMED',
    SNAPSHOT_NEW,
  ],
  [
    'leaves out what has a default elsewhere',
    (it) => it.edit('snapshot', ({ meta: _, ...all }) => all),
    'snapshot',
    'MALFORMED',
    TIMESTAMP_NEW,
  ],
];

function editMeta(images: MockRepository, role: string, file: string, version: number): void {
  images.edit(role, (all) => {
    const meta = all.meta as Record<string, object>;
    return { ...all, meta: { ...meta, [file]: { ...meta[file], version } } };
  });
}

/** Version 1 of everything. */
const OLD = mockImages();
OLD.files();

describe('an attacker who', () => {
  it.each(ATTACKS)('%s (%#)', (_, attack, where, code, trusted) => {
    const images = mockImages();
    const before = updated(images);
    images.publish();
    attack(images);
    const { trust, fault } = update(images, before);
    expect(fault).toMatchObject({ where, code });
    expect(versionsOf(trust)).toEqual(trusted);
    // Whatever was refused is refused again, and costs nothing of what is trusted.
    const again = update(images, must(restoreTrust(filesOf(trust))));
    expect(again.fault).toMatchObject({ where, code });
    expect(versionsOf(again.trust)).toEqual(trusted);
  });

  it('replays an old repository as a whole gets no further than Timestamp', () => {
    const images = mockImages();
    images.files();
    const trust = updated(images.publish());
    const { fault } = update(images.replay(0), trust);
    expect(fault).toMatchObject({ where: 'timestamp', code: 'ROLLBACK' });
  });

  it('has the Timestamp key cannot go back to an older Snapshot', () => {
    const images = mockImages();
    images.files();
    const trust = updated(images.publish());
    images.publish().setVersion('snapshot', 1);
    expect(update(images, trust).fault).toMatchObject({ where: 'timestamp', code: 'ROLLBACK' });
  });

  it('has the Timestamp key cannot go back behind a Snapshot that was named and never came', () => {
    const images = mockImages();
    const trust = updated(images);
    images.publish().setVersion('snapshot', 5);
    const named = update(images, trust, MOCK_NOW_MS, { upTo: 'timestamp' }).trust;
    expect(versionsOf(named)).toMatchObject({ timestamp: 2, snapshot: 1 });
    images.publish().setVersion('snapshot', 4);
    expect(update(images, named).fault).toMatchObject({ where: 'timestamp', code: 'ROLLBACK' });
  });

  it('breaks the kept Timestamp still cannot go back to an older Snapshot', () => {
    const images = mockImages();
    images.files();
    const files = new Map(filesOf(updated(images.publish())));
    files.delete('timestamp.json');
    const { fault } = update(images.replay(0), must(restoreTrust(files)));
    expect(fault).toMatchObject({ where: 'timestamp', code: 'ROLLBACK' });
  });

  it('changes a Snapshot that is known under its old version is found out by the hash', () => {
    const images = mockImages();
    const trust = updated(images);
    images.addTarget('more.bin', image(2)).setVersion('snapshot', 1);
    const second = update(images, trust);
    expect(second.fault).toBeUndefined();
    expect(versionsOf(second.trust)).toEqual({ root: 1, timestamp: 2, snapshot: 1, targets: 2 });
  });

  it('sends more than was asked for, through whatever channel, is refused', () => {
    const images = mockImages();
    const refresh = new RepositoryUpdate(anchorOf(images), MOCK_NOW_MS);
    const bytes = new Uint8Array(512_001);
    expect(refresh.accept({ kind: 'bytes', bytes })).toMatchObject({ code: 'ENDLESS_DATA' });
  });

  it('has the Snapshot key cannot go back to older Targets', () => {
    const images = mockImages();
    images.files();
    const trust = updated(images.publish());
    images.publish().setVersion('targets', 1);
    expect(update(images, trust).fault).toMatchObject({ where: 'snapshot', code: 'ROLLBACK' });
  });

  it('puts another text under a Timestamp version that is known is not listened to', () => {
    const images = mockImages();
    const trust = updated(images);
    images.publish().setVersion('timestamp', 1);
    expect(versionsOf(updated(images, trust))).toEqual(versionsOf(trust));
  });

  it('withholds everything new is found out when what is known expires', () => {
    const images = mockImages();
    const trust = updated(images);
    const later = update(images.freeze(), trust, MOCK_NOW_MS + DAY_MS);
    expect(later.fault).toMatchObject({ where: 'timestamp', code: 'FREEZE' });
    expect(update(images, trust, MOCK_NOW_MS + DAY_MS - 1).fault).toBeUndefined();
  });

  it('holds the clock at nothing gets nothing', () => {
    const images = mockImages();
    const { fault } = update(images, anchorOf(images), Number.NaN);
    expect(fault).toMatchObject({ where: 'root', code: 'FREEZE' });
  });
});

describe('Root', () => {
  it('goes through every version, with the keys of each, whatever has expired on the way', () => {
    const images = mockImages();
    const trust = updated(images);
    images.rotate('root').rotate('root', 'targets').expire('root').rotate('timestamp');
    images.expireAt('root', MOCK_NOW_MS + DAY_MS);
    expect(versionsOf(updated(images, trust)).root).toBe(6);
    expect(versionsOf(updated(images)).root).toBe(6);
  });

  it('is refused when only the new keys have signed it', () => {
    const images = mockImages();
    const trust = updated(images);
    images.rotate('root').newRoot();
    const own = images.roots().get(3)!;
    expect(checkRootChain(images.roots().get(2)!, own).ok).toBe(true);
    expect(checkRootChain(images.anchor, own)).toMatchObject({ code: 'ARBITRARY_SOFTWARE' });
    expect(update(images.replace('2.root.json', own), trust).fault).toMatchObject({
      where: 'root',
      code: 'ARBITRARY_SOFTWARE',
    });
  });

  it('is refused when the old keys alone have signed it', () => {
    const images = mockImages();
    const old = images.signers('root');
    images.rotate('root');
    // The same content, with the signatures of the old keys only.
    const { signed, signatures } = JSON.parse(new TextDecoder().decode(images.roots().get(2)!)) as {
      signed: object;
      signatures: { keyid: string }[];
    };
    const ids = new Set(old.map(({ keyId }) => keyId));
    const partial = { signed, signatures: signatures.filter(({ keyid }) => ids.has(keyid)) };
    const bytes = new TextEncoder().encode(JSON.stringify(partial));
    expect(checkRootChain(images.anchor, bytes)).toMatchObject({ code: 'ARBITRARY_SOFTWARE' });
    expect(checkRootChain(images.anchor, images.roots().get(2)!).ok).toBe(true);
  });

  it('is not skipped, and not repeated', () => {
    const images = mockImages().newRoot().newRoot();
    const [one, two, three] = [1, 2, 3].map((version) => images.roots().get(version)!);
    expect(checkRootChain(one!, two!).ok).toBe(true);
    expect(checkRootChain(one!, three!)).toMatchObject({ code: 'ROLLBACK' });
    expect(checkRootChain(two!, two!)).toMatchObject({ code: 'ROLLBACK' });
    expect(checkRootChain(two!, one!)).toMatchObject({ code: 'ROLLBACK' });
  });

  it('as an anchor must be signed by itself', () => {
    const images = mockImages();
    const text = new TextDecoder().decode(images.anchor);
    const changed = new TextEncoder().encode(text.replace('"version":1', '"version":2'));
    expect(trustRoot(changed)).toMatchObject({ where: 'root', code: 'ARBITRARY_SOFTWARE' });
    expect(trustRoot(images.anchor).ok).toBe(true);
  });

  it('may name roles that this reader does not know, and more than it uses', () => {
    const images = new MockRepository('director', { nowMs: MOCK_NOW_MS, roles: { time: 2 } });
    expect(versionsOf(updated(images)).root).toBe(1);
  });
});

describe('recovery from a fast-forward attack (5.4.4.3 step 4)', () => {
  it.each([
    ['timestamp', ['timestamp']],
    ['snapshot', ['snapshot', 'timestamp']],
    ['targets', ['snapshot']],
  ])('of %s: new keys let the version begin again', (role, rotate) => {
    const images = mockImages();
    images.setVersion(role, 1_000_000);
    const trust = updated(images);
    images.publish().setVersion(role, 2);
    expect(update(images, trust).fault).toMatchObject({ code: 'ROLLBACK' });
    images.rotate(...rotate);
    expect(versionsOf(updated(images, trust))).toMatchObject({ [role]: 3 });
  });

  it('a key that is added takes no floor away', () => {
    const images = mockImages();
    images.files();
    const trust = updated(images.publish());
    const more = mockSigner('more');
    images.edit('root', (root) => {
      const roles = root.roles as Record<string, { keyids: string[] }>;
      const timestamp = { ...roles.timestamp, keyids: [...roles.timestamp!.keyids, more.keyId] };
      return {
        ...root,
        keys: { ...(root.keys as object), [more.keyId]: more.publicKey },
        roles: { ...roles, timestamp },
      };
    });
    expect(versionsOf(updated(images, trust))).toMatchObject({ root: 2, timestamp: 3 });
    images.setVersion('timestamp', 1);
    expect(update(images, trust).fault).toMatchObject({ where: 'timestamp', code: 'ROLLBACK' });
  });

  it('a key that is taken away takes the floor with it, even if it has signed nothing', () => {
    const images = mockImages();
    const more = mockSigner('more');
    const named = (change: (keyids: string[]) => string[]) =>
      images.edit('root', (root) => {
        const roles = root.roles as Record<string, { keyids: string[] }>;
        const timestamp = { ...roles.timestamp, keyids: change(roles.timestamp!.keyids) };
        return {
          ...root,
          keys: { ...(root.keys as object), [more.keyId]: more.publicKey },
          roles: { ...roles, timestamp },
        };
      });
    named((keyids) => [...keyids, more.keyId]);
    const trust = updated(images);
    expect(versionsOf(trust)).toMatchObject({ root: 2, timestamp: 1, snapshot: 1 });
    named((keyids) => keyids.filter((keyid) => keyid !== more.keyId));
    const refresh = new RepositoryUpdate(trust, MOCK_NOW_MS);
    must(refresh.accept(images.answer(refresh.next()!)));
    expect(versionsOf(refresh.trust)).toEqual({ root: 3, targets: 1 });
  });

  it('one of two Snapshot keys that is taken away leaves the floor of Targets (5.4.4.6 step 4)', () => {
    const images = mockImages();
    const keys = [...images.signers('snapshot'), mockSigner('second')];
    images.setKeys('snapshot', keys).files();
    const trust = updated(images.publish());
    images.setKeys('snapshot', keys.slice(1));
    // Another Timestamp and Snapshot of before are right again; the Targets that they name are not.
    images.setVersion('snapshot', 1).setVersion('timestamp', 1).setVersion('targets', 1);
    expect(update(images, trust).fault).toMatchObject({ where: 'targets', code: 'ROLLBACK' });
    images.setKeys('snapshot', [mockSigner('third')]).setVersion('targets', 1);
    expect(versionsOf(updated(images, trust))).toMatchObject({ targets: 1 });
  });

  it('a higher threshold takes away what fewer have signed', () => {
    const images = mockImages();
    const trust = updated(images);
    images.setThreshold('timestamp', 2);
    const refresh = new RepositoryUpdate(trust, MOCK_NOW_MS);
    must(refresh.accept(images.answer(refresh.next()!)));
    expect(refresh.trust.timestamp).toBeUndefined();
    expect(refresh.trust.snapshot).toBeUndefined();
    expect(refresh.trust.targets.has('targets')).toBe(true);
  });
});

describe('a plain TUF repository', () => {
  const plain = (images: MockRepository) => must(trustRoot(images.anchor, 'tuf'));

  it('needs no hashes: then the versions alone must fit', () => {
    const bare = (images: MockRepository, role: string, version = 1) =>
      images.edit(role, ({ meta, ...all }) => ({
        ...all,
        meta: Object.fromEntries(Object.keys(meta as object).map((name) => [name, { version }])),
      }));
    const images = mockImages();
    bare(bare(images, 'timestamp'), 'snapshot');
    expect(update(images, plain(images)).fault).toBeUndefined();
    for (const [role, above] of [
      ['snapshot', 'timestamp'],
      ['targets', 'snapshot'],
    ] as const) {
      const wrong = bare(bare(mockImages(), 'timestamp'), 'snapshot');
      wrong.edit(role, (all) => ({ ...all, version: 2 }));
      const file = wrong.file(`2.${role}.json`);
      wrong.replace(`1.${role}.json`, file);
      const { fault } = update(wrong, plain(wrong));
      expect(fault, above).toMatchObject({ where: role, code: 'MIX_AND_MATCH' });
    }
  });

  it('must say what it names: a default is not what was signed', () => {
    for (const [role, name] of [
      ['timestamp', 'meta'],
      ['snapshot', 'meta'],
      ['targets', 'targets'],
    ] as const) {
      const images = mockImages().edit(role, (all) => ({ ...all, [name]: null }));
      expect(update(images, plain(images)).fault).toMatchObject({ where: role, code: 'MALFORMED' });
      const none = mockImages().edit(role, ({ [name]: _, ...all }) => all);
      expect(update(none, plain(none)).fault).toMatchObject({ where: role, code: 'MALFORMED' });
    }
  });

  it('may have a key under two ids, which then signs once', () => {
    const images = mockImages().oneKeyUnderTwoIds('timestamp');
    expect(update(images, plain(images)).fault).toMatchObject({
      where: 'timestamp',
      code: 'ARBITRARY_SOFTWARE',
      reason: expect.stringContaining('1 of its keys, 2 are needed'),
    });
  });
});

describe('what is kept', () => {
  it('is what was received, byte for byte, and restores the same trust', () => {
    const images = mockImages();
    images.editText('timestamp', (text) => `${text} \n`);
    const trust = updated(images);
    const files = filesOf(trust);
    expect([...files.keys()]).toEqual([
      'root.json',
      'timestamp.json',
      'snapshot.json',
      'targets.json',
    ]);
    expect(files.get('timestamp.json')).toEqual(images.file('timestamp.json'));
    expect(versionsOf(must(restoreTrust(files)))).toEqual(versionsOf(trust));
  });

  it('needs its Root; any other damage is repaired by the next update', () => {
    const images = mockImages();
    const files = new Map(filesOf(updated(images)));
    for (const name of ['timestamp.json', 'snapshot.json', 'targets.json']) {
      for (const damage of [Uint8Array.of(), files.get(name)!.with(30, 0x21)]) {
        const trust = must(restoreTrust(new Map([...files, [name, damage]])));
        expect(filesOf(trust).has(name)).toBe(false);
        expect(versionsOf(updated(images, trust))).toMatchObject({ targets: 1 });
      }
    }
    const root = files.get('root.json')!;
    expect(restoreTrust(new Map([['root.json', root.subarray(1)]]))).toMatchObject({
      code: 'MALFORMED',
    });
    expect(restoreTrust(new Map())).toMatchObject({ code: 'MISSING_METADATA', where: 'root' });
  });

  it('drops a file that a stranger has put there', () => {
    const images = mockImages();
    const files = new Map(filesOf(updated(images)));
    const strange = mockImages().foreignKeys('timestamp').setVersion('timestamp', 999);
    files.set('timestamp.json', strange.file('timestamp.json'));
    expect(must(restoreTrust(files)).timestamp).toBeUndefined();
  });
});

describe('Targets that somebody uploads', () => {
  it('must be signed by the keys of Root, newer than the published ones, and not expired', () => {
    const images = mockImages();
    const old = images.file('targets.json');
    const next = images.publish().file('targets.json');
    const check = (previous: Uint8Array | undefined, file: Uint8Array, nowMs = MOCK_NOW_MS) =>
      checkTargetsFile(images.anchor, previous, file, nowMs);
    expect(check(undefined, old).ok).toBe(true);
    expect(check(old, next).ok).toBe(true);
    expect(check(old, old)).toMatchObject({ code: 'ROLLBACK', where: 'targets' });
    expect(check(next, old)).toMatchObject({ code: 'ROLLBACK' });
    expect(check(old, next, MOCK_NOW_MS + 31 * DAY_MS)).toMatchObject({ code: 'FREEZE' });
    const foreign = images.publish().foreignKeys('targets').file('targets.json');
    expect(check(old, foreign)).toMatchObject({ code: 'ARBITRARY_SOFTWARE' });
    expect(check(old, images.file('snapshot.json'))).toMatchObject({ code: 'MALFORMED' });
  });
});
