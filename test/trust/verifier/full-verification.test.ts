// Full verification of a vehicle: what one compromised repository can do, what both can, and what is asked for when.

import { describe, expect, it } from 'vitest';
import type { AttackCode } from '../../../src/trust/attack.ts';
import type { VerifiedTarget } from '../../../src/trust/director.ts';
import type { EcuFacts, FullVerificationOptions } from '../../../src/trust/full-verification.ts';
import { versionsOf } from '../../../src/trust/repository.ts';
import {
  MOCK_NOW_MS,
  type MockRepositories,
  mockRepositories,
} from '../../support/mock-repositories.ts';
import { EDT, INV, verification } from './full-verification-support.ts';
import { DAY_MS, must } from './support.ts';

/** A vehicle with one new image for each of its two ECUs. */
function vehicle(): MockRepositories {
  const mock = mockRepositories();
  return mock.assign(EDT.serial, mock.release('EDT')).assign(INV.serial, mock.release('INV'));
}

function verify(mock: MockRepositories, options?: Partial<FullVerificationOptions>) {
  const full = verification(mock, options);
  const fault = mock.serve(full);
  return { fault, trust: full.trust, full };
}

/** One that must go through. */
function verified(mock: MockRepositories, options?: Partial<FullVerificationOptions>) {
  const { fault, trust, full } = verify(mock, options);
  if (fault !== undefined) throw new Error(JSON.stringify(fault));
  return { trust, targets: full.result() };
}

function asked(mock: MockRepositories, options?: Partial<FullVerificationOptions>): string[] {
  const full = verification(mock, options);
  const files: string[] = [];
  for (let next = full.next(); next !== undefined; next = full.next()) {
    files.push(`${next.repository} ${next.request.file}`);
    must(full.accept(mock.answer(next.repository, next.request)));
  }
  return files;
}

function installed(targets: readonly VerifiedTarget[]): EcuFacts[] {
  return [EDT, INV].map((ecu) => {
    const target = targets.find(({ serial }) => serial === ecu.serial);
    return { ...ecu, installedSha256: target!.sha256, releaseCounter: target!.releaseCounter };
  });
}

const DIRECTOR = [
  'director 2.root.json',
  'director timestamp.json',
  'director 1.snapshot.json',
  'director 1.targets.json',
];
const IMAGES = DIRECTOR.map((name) => name.replace('director', 'images'));

describe('full verification', () => {
  it('asks both repositories, role by role in the order of 5.4.4.2', () => {
    expect(asked(vehicle())).toEqual([...DIRECTOR, ...IMAGES]);
  });

  it('gives one image for each ECU, with everything that was signed about it', () => {
    const mock = vehicle();
    const { targets, trust } = verified(mock);
    expect(targets.map(({ serial, ecu }) => [serial, ecu])).toEqual([
      ['CO-000001', 'EDT'],
      ['CO-000002', 'INV'],
    ]);
    const release = mock.director.target(targets[0]!.name);
    expect(targets[0]).toEqual({
      serial: 'CO-000001',
      hardwareId: 'EDT-HW-1',
      name: expect.stringMatching(/^EDT-2\.0\.0-[0-9a-f]{12}\.bin$/),
      length: release.length,
      hashes: release.hashes,
      sha256: release.hashes.sha256,
      ecu: 'EDT',
      version: '2.0.0',
      releaseCounter: 2,
      dependencies: {},
      encrypt: false,
      forced: false,
      notes: '',
      encryption: undefined,
    });
    const one = { root: 1, timestamp: 1, snapshot: 1, targets: 1 };
    expect([versionsOf(trust.director), versionsOf(trust.images)]).toEqual([one, one]);
  });

  it('gives the text for the driver that the image repository has signed, whatever the Director says', () => {
    const mock = mockRepositories();
    const release = mock.release('EDT', { notes: 'takes the reverse gear away' });
    mock.assign(EDT.serial, release, { custom: { notes: 'a new map of the radio' } });
    const { targets } = verified(mock, { ecus: [EDT] });
    expect(targets.map(({ notes }) => notes)).toEqual(['takes the reverse gear away']);
    // Without the image repository (step 6) there is no text, and no safety release either.
    const ecus = [{ ...EDT, installedSha256: targets[0]!.sha256 }];
    const [only] = verified(mock, { ecus }).targets;
    expect(only).toMatchObject({ notes: '', forced: false });
  });

  it('refuses a list of hashes of which one cannot be checked (5.4.3.2)', () => {
    const listed = (hashes: Readonly<Record<string, string>>) => {
      const mock = mockRepositories();
      mock.assign(EDT.serial, mock.release('EDT', { hashes }));
      return verify(mock, { ecus: [EDT] }).fault;
    };
    expect(listed({ sha384: 'a'.repeat(96), sha512: 'b'.repeat(128) })).toBeUndefined();
    for (const hashes of [
      { md5: 'a'.repeat(32) },
      { 'sha3-256': 'a'.repeat(64) },
      { sha512: 'a'.repeat(64) },
      { sha512: 'A'.repeat(128) },
      { sha384: '' },
    ]) {
      const where = 'director targets';
      expect(listed(hashes), JSON.stringify(hashes)).toMatchObject({ code: 'MALFORMED', where });
    }
  });

  it('asks for the Director only, when everything is installed (step 6)', () => {
    const mock = vehicle();
    const { targets, trust } = verified(mock);
    const ecus = installed(targets);
    expect(asked(mock, { trust, ecus })).toEqual(DIRECTOR.slice(0, 2));
    expect(asked(mock, { ecus })).toEqual(DIRECTOR);
    expect(asked(mock, { trust, ecus, alwaysCheckImages: true })).toEqual([
      ...DIRECTOR.slice(0, 2),
      ...IMAGES.slice(0, 2),
    ]);
  });

  it('goes on with the images after an unchanged Director, until they are installed', () => {
    const mock = vehicle();
    const full = verification(mock);
    mock.images.omit('timestamp.json');
    expect(mock.serve(full)).toMatchObject({ where: 'images timestamp' });
    mock.images.behave();
    expect(verified(mock, { trust: full.trust }).targets).toHaveLength(2);
  });

  it('one image may be for several ECUs', () => {
    const mock = mockRepositories();
    const release = mock.release('EDT');
    mock.assign(EDT.serial, release).assign('CO-000003', release);
    const ecus = [EDT, { ...EDT, serial: 'CO-000003' }];
    expect(verified(mock, { ecus }).targets.map(({ serial }) => serial)).toEqual([
      'CO-000001',
      'CO-000003',
    ]);
  });

  it('for one ECU by itself looks at its own image', () => {
    const mock = vehicle();
    mock.images.removeTarget(verified(vehicle()).targets[1]!.name);
    const { targets } = verified(mock, { ecus: [EDT], primary: false });
    expect(targets.map(({ serial }) => serial)).toEqual([EDT.serial]);
    expect(verify(mock).fault).toMatchObject({ code: 'UNKNOWN_TARGET' });
  });

  it('finds an image with the supplier to whom its hardware is delegated', () => {
    const mock = mockRepositories();
    const release = mock.release('EDT');
    mock.images.removeTarget(release.name);
    mock.images
      .delegate({ name: 'other', paths: ['*'], hardwareIds: ['INV-HW-1'] })
      .delegate(
        { name: 'supplier', paths: ['EDT-*'], hardwareIds: ['EDT-HW-1'] },
        { [release.name]: release.target },
      );
    mock.assign(EDT.serial, release);
    expect(asked(mock)).toEqual([...DIRECTOR, ...IMAGES, 'images 1.supplier.json']);
  });

  it('has no result before its end, and none after a refusal', () => {
    const mock = vehicle();
    expect(() => verification(mock).result()).toThrow('no verified result');
    const { full } = verify(mock, { vin: 'ANOTHER' });
    expect(() => full.result()).toThrow('no verified result');
    expect(full.next()).toBeUndefined();
  });
});

type Attack = readonly [
  attacker: string,
  attack: (mock: MockRepositories) => unknown,
  where: string,
  code: AttackCode,
];

const editAssignment = (mock: MockRepositories, custom: object, target: object = {}): void => {
  const release = mock.release('EDT');
  mock.assign(EDT.serial, release, { custom: { ...custom }, target });
};

const ATTACKS: readonly Attack[] = [
  // The Director is compromised, the image repository is not.
  [
    'orders what nobody released',
    (it) => {
      const release = it.release('EDT', { version: '6.6.6' });
      it.images.removeTarget(release.name);
      it.director.clearTargets();
      it.assign(EDT.serial, release);
    },
    'images targets',
    'UNKNOWN_TARGET',
  ],
  [
    'orders another length',
    (it) => editAssignment(it, {}, { length: 1 }),
    'images targets',
    'REPOSITORIES_DISAGREE',
  ],
  [
    'orders other hashes',
    (it) => editAssignment(it, {}, { hashes: { sha256: '0'.repeat(64) } }),
    'images targets',
    'REPOSITORIES_DISAGREE',
  ],
  [
    'adds a hash',
    (it) =>
      editAssignment(
        it,
        {},
        { hashes: { ...it.release('EDT').target.hashes, sha512: '0'.repeat(128) } },
      ),
    'images targets',
    'REPOSITORIES_DISAGREE',
  ],
  [
    'counts higher',
    (it) => editAssignment(it, { releaseCounter: 99 }),
    'images targets',
    'REPOSITORIES_DISAGREE',
  ],
  [
    'claims another version',
    (it) => editAssignment(it, { version: '9.9.9' }),
    'images targets',
    'REPOSITORIES_DISAGREE',
  ],
  [
    'drops a dependency',
    (it) => {
      const release = it.release('EDT', { version: '3', dependencies: { INV: '>=2.0.0' } });
      const before = it.release('EDT');
      it.director.removeTarget(before.name);
      it.assign(EDT.serial, release, { custom: { dependencies: {} } });
    },
    'images targets',
    'REPOSITORIES_DISAGREE',
  ],
  [
    'drops the encryption',
    (it) => {
      const release = it.release('EDT', { version: '3', encrypt: true });
      it.director.removeTarget(it.release('EDT').name);
      it.assign(EDT.serial, release, { custom: { encrypt: false } });
    },
    'images targets',
    'REPOSITORIES_DISAGREE',
  ],
  [
    'moves an image to another address',
    (it) => editAssignment(it, { address: 0x0800_0000 }),
    'images targets',
    'REPOSITORIES_DISAGREE',
  ],
  [
    'calls a safety release what is none',
    (it) => {
      const release = it.release('EDT', { version: '3' });
      it.director.removeTarget(it.release('EDT').name);
      it.assign(EDT.serial, release, { custom: { forced: true } });
    },
    'images targets',
    'REPOSITORIES_DISAGREE',
  ],
  [
    'promises an encrypted image that is not there',
    (it) => {
      const release = it.release('EDT', { version: '3', encrypt: true });
      it.director.removeTarget(it.release('EDT').name);
      it.assign(EDT.serial, release);
    },
    'director targets',
    'MALFORMED',
  ],
  [
    'orders an image for other hardware',
    (it) => {
      const release = it.release('BMS');
      it.director.removeTarget(it.release('EDT').name);
      it.assign(EDT.serial, release, {
        hardwareId: 'EDT-HW-1',
        custom: { ecu: 'EDT', hardwareIds: ['EDT-HW-1'] },
      });
    },
    'images targets',
    'WRONG_HARDWARE',
  ],
  [
    'names other hardware for an ECU',
    (it) => {
      it.assign(EDT.serial, it.release('EDT'), { hardwareId: 'EDT-HW-2' });
    },
    'director targets',
    'WRONG_HARDWARE',
  ],
  [
    'gives an ECU the image of another',
    (it) => {
      const release = it.release('INV', { version: '3', hardwareIds: ['EDT-HW-1'] });
      it.director.removeTarget(it.release('EDT').name);
      it.assign(EDT.serial, release, { hardwareId: 'EDT-HW-1' });
    },
    'director targets',
    'WRONG_ECU',
  ],
  [
    'gives one ECU two images',
    (it) => {
      it.assign(EDT.serial, it.release('EDT', { version: '3' }));
    },
    'director targets',
    'DUPLICATE_ECU',
  ],
  [
    'invents an ECU',
    (it) => {
      it.assign('CO-999999', it.release('BMS'));
    },
    'director targets',
    'UNKNOWN_ECU',
  ],
  [
    'delegates',
    (it) => it.director.delegate({ name: 'friend', paths: ['*'] }),
    'director targets',
    'DELEGATION_IN_DIRECTOR',
  ],
  [
    'delegates to nobody',
    (it) =>
      it.director.edit('targets', (all) => ({ ...all, delegations: { keys: {}, roles: [] } })),
    'director targets',
    'DELEGATION_IN_DIRECTOR',
  ],
  [
    'signs for another vehicle',
    (it) => it.director.setCustom({ vin: 'WCANOTA0000000002' }),
    'director targets',
    'WRONG_VEHICLE',
  ],
  [
    'signs for no vehicle',
    (it) => it.director.setCustom(undefined),
    'director targets',
    'WRONG_VEHICLE',
  ],
  [
    'replays the empty list of another vehicle',
    (it) => it.director.clearTargets().setCustom({ vin: 'WCANOTA0000000002' }),
    'director targets',
    'WRONG_VEHICLE',
  ],
  [
    'replays an empty list that names nobody',
    (it) => it.director.clearTargets().setCustom(undefined),
    'director targets',
    'WRONG_VEHICLE',
  ],
  [
    'names a file outside of its folder',
    (it) => {
      const release = { ...it.release('EDT'), name: '../../etc/passwd' };
      it.director.removeTarget(it.release('EDT').name);
      it.assign(EDT.serial, release);
    },
    'director targets',
    'MALFORMED',
  ],
  [
    'forgets the hardware ids',
    (it) => editAssignment(it, { hardwareIds: null }),
    'director targets',
    'MALFORMED',
  ],
  [
    'forgets whom an image is for',
    (it) => {
      it.director.addTarget('x.bin', it.release('BMS').target);
    },
    'director targets',
    'MALFORMED',
  ],
  // The image repository is compromised, the Director is not.
  [
    'replaces an image',
    (it) => {
      const release = it.release('EDT');
      it.images.addTarget(release.name, { ...release.target, hashes: { sha256: '6'.repeat(64) } });
    },
    'images targets',
    'REPOSITORIES_DISAGREE',
  ],
  [
    'takes an image away',
    (it) => it.images.removeTarget(it.release('EDT').name),
    'images targets',
    'UNKNOWN_TARGET',
  ],
  [
    'forgets the release counter',
    (it) => {
      const release = it.release('EDT');
      it.images.addTarget(release.name, {
        ...release.target,
        custom: { ...release.target.custom, releaseCounter: null },
      });
    },
    'images targets',
    'MALFORMED',
  ],
  // The network, or one stolen key.
  [
    'has one key of the Director',
    (it) => it.director.foreignKeys('snapshot'),
    'director snapshot',
    'ARBITRARY_SOFTWARE',
  ],
  [
    'has no key of the image repository',
    (it) => it.images.foreignKeys('targets'),
    'images targets',
    'ARBITRARY_SOFTWARE',
  ],
  [
    'holds the Director back',
    (it) => it.director.expire('timestamp'),
    'director timestamp',
    'FREEZE',
  ],
  ['holds the images back', (it) => it.images.expire('snapshot'), 'images snapshot', 'FREEZE'],
];

describe('an attacker who', () => {
  it.each(ATTACKS)('%s (%#)', (_, attack, where, code) => {
    const mock = vehicle();
    attack(mock);
    expect(verify(mock).fault).toMatchObject({ ok: false, where, code });
  });

  it('breaks a rule of Directors leaves no trace: the old Targets stay trusted', () => {
    const mock = vehicle();
    const { trust } = verified(mock);
    mock.assign('CO-999999', mock.release('BMS'));
    const { fault, trust: after } = verify(mock, { trust });
    expect(fault).toMatchObject({ code: 'UNKNOWN_ECU' });
    expect(versionsOf(after.director)).toMatchObject({ snapshot: 2, targets: 1 });
  });

  it('calls the image of another ECU his own', () => {
    const mock = mockRepositories();
    const release = mock.release('INV', { hardwareIds: ['EDT-HW-1'] });
    mock.assign(EDT.serial, release, { custom: { ecu: 'EDT' } });
    expect(verify(mock).fault).toMatchObject({
      where: 'images targets',
      code: 'REPOSITORIES_DISAGREE',
    });
  });

  it('orders an image with a lower release counter than the ECU has accepted', () => {
    const mock = vehicle();
    const ecus = [{ ...EDT, releaseCounter: 3 }, INV];
    expect(verify(mock, { ecus }).fault).toMatchObject({
      where: 'director targets',
      code: 'ROLLBACK',
    });
    expect(verify(mock, { ecus: [{ ...EDT, releaseCounter: 2 }, INV] }).fault).toBeUndefined();
  });

  it('orders an image with a lower release counter than the Director did before (10.2.3)', () => {
    const mock = vehicle();
    const { trust } = verified(mock);
    const current = mock.release('EDT');
    mock.director.removeTarget(current.name);
    mock.assign(EDT.serial, mock.release('EDT', { version: '1.0.0', releaseCounter: 1 }));
    expect(verify(mock, { trust }).fault).toMatchObject({ code: 'ROLLBACK' });
    expect(verify(mock).fault).toBeUndefined();
  });

  it('has the keys of both repositories, but not those of their Roots, is thrown out by new Roots', () => {
    const mock = vehicle();
    const { trust } = verified(mock);
    const evil = mock.release('EDT', { version: '6.6.6', releaseCounter: 6 });
    mock.director.removeTarget(mock.release('EDT').name);
    mock.assign(EDT.serial, evil);
    // With all online keys, and the offline key of Targets, he gets through: that is what two repositories are for.
    expect(verify(mock, { trust }).fault).toBeUndefined();
    const stolen = ['targets', 'snapshot', 'timestamp'].map((role) => mock.images.signers(role));
    mock.images.rotate('targets', 'snapshot', 'timestamp');
    mock.images.signWith('timestamp', stolen[2]!);
    expect(verify(mock, { trust }).fault).toMatchObject({
      where: 'images timestamp',
      code: 'ARBITRARY_SOFTWARE',
    });
  });
});

describe('a vehicle that was off for two months', () => {
  it('catches up, over new keys of every role', () => {
    const mock = vehicle();
    const { trust } = verified(mock);
    mock.skip(60 * DAY_MS);
    for (const name of ['director', 'images'] as const) {
      mock.repository(name).rotate('root').rotate('timestamp', 'snapshot').rotate('targets');
    }
    const nowMs = MOCK_NOW_MS + 60 * DAY_MS;
    expect(verified(mock, { trust, nowMs }).targets).toHaveLength(2);
  });

  it('notices that it is told nothing new', () => {
    const mock = vehicle();
    const { trust } = verified(mock);
    const nowMs = MOCK_NOW_MS + 60 * DAY_MS;
    expect(verify(mock, { trust, nowMs }).fault).toMatchObject({
      where: 'director timestamp',
      code: 'FREEZE',
    });
  });
});

describe('the VIN', () => {
  it('is not compared where nobody knows it', () => {
    const mock = vehicle();
    mock.director.setCustom(undefined);
    expect(verify(mock, { vin: undefined }).fault).toBeUndefined();
  });

  it('is in an empty list, too: nothing to do, for this vehicle', () => {
    const mock = mockRepositories();
    expect(verified(mock).targets).toEqual([]);
  });
});
