// The table of attacks: metadata that somebody on the bus brings to one ECU, partially and fully verifying.

import { expect } from 'vitest';
import { encodeBundle, type MetadataBundle } from '../../src/trust/bundle.ts';
import { AttackedEcu, type BundleChange } from '../support/attack-ecu.ts';
import { BANK_SIZE, SERIALS, VIN } from '../support/attack-factory.ts';
import { imageOf, order, strangers, thiefsRoot } from '../support/attack-repositories.ts';
import { type Attack, attacksOn } from '../support/attack-table.ts';
import { fileRequest } from '../support/ecu-bench.ts';
import { mockRepositories, mockSigner } from '../support/mock-repositories.ts';

const attack = attacksOn('CAN bus');

const DAY_MS = 86_400_000;
/** A TMU that was taken over, or a node in its place: it unlocks the ECU, and brings what it likes. */
const NODE = 'a node on the bus, the key of SecurityAccess';

type Forge = (ecu: AttackedEcu) => Promise<Uint8Array | BundleChange> | Uint8Array | BundleChange;
type MetadataRow = Omit<Attack, 'vehicle'> & {
  readonly vehicle?: string;
  readonly forge: Forge;
  readonly only?: 'partial' | 'full';
};

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** The bundle with this file of the Director, or without it. */
function withFile(name: string, bytes: Uint8Array | undefined) {
  return (bundle: MetadataBundle): MetadataBundle => {
    const director = new Map(bundle.director);
    director.delete(name);
    if (bytes !== undefined) director.set(name, bytes);
    return { ...bundle, director };
  };
}

/** Malware that the attacker's copy of both repositories has signed, and a bundle of that copy. */
function evil(change: (ecu: AttackedEcu) => unknown, rest: BundleChange = {}): Forge {
  return (ecu) => {
    ecu.release(ecu.evil, '6.6.6');
    change(ecu);
    return { from: ecu.evil, ...rest };
  };
}

/** Roots of a Director of the same name, with the one that `change` made as the newest. */
function nextRoot(change: (director: ReturnType<typeof mockRepositories>['director']) => unknown) {
  const { director } = mockRepositories({ vin: VIN });
  change(director);
  return [...director.roots().values()].at(-1)!;
}

const rows: readonly MetadataRow[] = [
  {
    name: 'noise',
    has: NODE,
    does: 'sends bytes that are no metadata',
    code: 'MALFORMED',
    forge: () => imageOf('EDT', 'noise').subarray(0, 500),
  },
  {
    name: 'forged Targets',
    has: `${NODE}, and every online key of the Director but that of Targets`,
    does: 'orders malware in Targets that a key of his own has signed',
    code: 'ARBITRARY_SOFTWARE',
    forge: evil((ecu) => ecu.evil.director.foreignKeys('targets')),
  },
  {
    name: 'changed Targets',
    has: `${NODE}, and a right bundle`,
    does: 'writes another hash into signed Targets',
    code: 'ARBITRARY_SOFTWARE',
    only: 'partial',
    forge: (ecu) => {
      const { target } = ecu.release(ecu.honest, '3.0.0');
      const right = text(ecu.honest.director.file('targets.json'));
      const changed = right.replaceAll(target.hashes.sha256!, 'ab'.repeat(32));
      expect(changed).not.toBe(right);
      return { change: withFile('targets.json', new TextEncoder().encode(changed)) };
    },
  },
  {
    name: 'replayed bundle',
    has: `${NODE}, and a bundle that this ECU has accepted before`,
    does: 'sends it again',
    vehicle: 'has another nonce by now',
    code: 'FREEZE',
    forge: async (ecu) => {
      const bundle = await ecu.bundle();
      expect(await ecu.bench.sendFile('metadata.json', bundle)).toBe('77');
      await ecu.unlock();
      await ecu.bench.expect('22FD21');
      return bundle;
    },
  },
  {
    name: 'nonce used twice',
    has: `${NODE}, and a bundle that this ECU has accepted a moment ago`,
    does: 'sends it again before another nonce was asked for',
    vehicle: 'takes one bundle for each nonce',
    code: 'FREEZE',
    forge: async (ecu) => {
      const bundle = await ecu.bundle();
      expect(await ecu.bench.sendFile('metadata.json', bundle)).toBe('77');
      await ecu.unlock();
      return bundle;
    },
  },
  {
    name: 'no time',
    has: NODE,
    does: 'leaves the time out',
    code: 'FREEZE',
    forge: () => ({ change: (bundle) => ({ ...bundle, time: null }) }),
  },
  {
    name: 'time for somebody else',
    has: `${NODE}, and a right time attestation`,
    does: 'adds a time that another ECU has asked for',
    code: 'FREEZE',
    forge: () => ({ nonce: '00'.repeat(16) }),
  },
  {
    name: 'time put back',
    has: `${NODE}, and the key of the Director for time`,
    does: 'says that it is yesterday, so that what has expired looks fresh',
    code: 'ROLLBACK',
    forge: () => ({ laterMs: -DAY_MS }),
  },
  {
    name: 'time of a stranger',
    has: NODE,
    does: 'signs the time with a key of his own',
    code: 'ARBITRARY_SOFTWARE',
    forge: (ecu) => ({
      change: (bundle) => ({
        ...bundle,
        time: JSON.parse(JSON.stringify(bundle.time).replace(/"time":"20\d\d/, '"time":"2099')),
        director: new Map([
          ...bundle.director,
          ['targets.json', ecu.evil.director.file('targets.json')],
        ]),
      }),
    }),
  },
  {
    name: 'expired metadata',
    has: `${NODE}, and a right time`,
    does: 'brings metadata of two months ago',
    code: 'FREEZE',
    forge: () => ({ laterMs: 60 * DAY_MS }),
  },
  {
    name: 'old Targets',
    has: `${NODE}, and Targets that the ECU trusted before`,
    does: 'brings them again, with a right time',
    code: 'ROLLBACK',
    forge: async (ecu) => {
      const old = new Map(ecu.honest.files('director'));
      ecu.honest.director.publish();
      ecu.release(ecu.honest, '3.0.0');
      expect(await ecu.bench.sendFile('metadata.json', await ecu.bundle())).toBe('77');
      await ecu.unlock();
      for (const [file, bytes] of old) ecu.evil.director.replace(file, bytes);
      return { from: ecu.evil, laterMs: 1000 };
    },
  },
  {
    name: 'partial bundle',
    has: NODE,
    does: 'leaves the Targets of the Director out',
    code: 'MISSING_METADATA',
    forge: (ecu) => {
      ecu.release(ecu.honest, '3.0.0');
      return { change: withFile('targets.json', undefined) };
    },
  },
  {
    name: 'metadata of another vehicle',
    has: `${NODE}, and Targets that the Director has signed for another vehicle`,
    does: 'brings them to this one',
    code: 'WRONG_VEHICLE',
    forge: evil((ecu) => ecu.evil.director.setCustom({ vin: '1CANXTABENCH00001' })),
  },
  {
    name: 'metadata that names no vehicle',
    has: `${NODE}, and empty Targets without a VIN`,
    does: 'brings them, so that there is nothing to install',
    code: 'WRONG_VEHICLE',
    forge: evil((ecu) => ecu.evil.director.clearTargets().setCustom(undefined)),
  },
  {
    name: 'other hardware',
    has: `${NODE}, and every online key of both repositories`,
    does: 'orders an image for other hardware for this ECU',
    code: 'WRONG_HARDWARE',
    forge: (ecu) => {
      ecu.release(ecu.evil, '6.6.6', { hardwareIds: ['OTHER-HW-1'] });
      return { from: ecu.evil };
    },
  },
  {
    name: 'image of another ECU',
    has: `${NODE}, and every online key of the Director`,
    does: 'orders the image of CGW for this ECU',
    code: 'WRONG_ECU',
    forge: (ecu) => {
      const release = ecu.evil.release('CGW', { version: '6.6.6', releaseCounter: 6 });
      order(ecu.evil, ecu.name, release, { hardwareId: `${ecu.name}-HW-1` });
      return { from: ecu.evil };
    },
  },
  {
    name: 'two images for one ECU',
    has: `${NODE}, and every online key of the Director`,
    does: 'orders two images for this ECU',
    code: 'DUPLICATE_ECU',
    forge: evil((ecu) => {
      const second = ecu.evil.release(ecu.name, { version: '7.0.0', releaseCounter: 7 });
      ecu.evil.assign(SERIALS[ecu.name], second);
    }),
  },
  {
    name: 'delegating Director',
    has: `${NODE}, and every online key of the Director`,
    does: 'delegates to a key of his own',
    code: 'DELEGATION_IN_DIRECTOR',
    forge: evil((ecu) => ecu.evil.director.delegate({ name: 'thief', paths: ['*'] })),
  },
  {
    name: 'older release',
    has: `${NODE}, and every online key of both repositories`,
    does: 'orders the release before the one that the ECU has confirmed',
    code: 'ROLLBACK',
    forge: (ecu) => {
      ecu.release(ecu.evil, '6.6.6', { releaseCounter: 1 });
      return { from: ecu.evil };
    },
  },
  {
    name: 'endless image',
    has: `${NODE}, and every online key of both repositories`,
    does: 'orders an image that is larger than a bank',
    code: 'ENDLESS_DATA',
    forge: (ecu) => {
      ecu.release(ecu.evil, '6.6.6', { image: new Uint8Array(BANK_SIZE + 1) });
      return { from: ecu.evil };
    },
  },
  {
    name: 'Root of a stranger',
    has: NODE,
    does: 'brings the next Root, signed by keys of his own',
    code: 'ARBITRARY_SOFTWARE',
    forge: () => ({
      change: withFile(
        '2.root.json',
        nextRoot((director) => director.newRoot(strangers)),
      ),
    }),
  },
  {
    name: 'Root with keys of a stranger',
    has: NODE,
    does: 'brings the next Root, which names keys of his own and is signed by them as it should',
    code: 'ARBITRARY_SOFTWARE',
    forge: () => ({ change: withFile('2.root.json', thiefsRoot('director')) }),
  },
  {
    name: 'Root with one key under two ids',
    has: `${NODE}, and one of the two Targets keys that this Root wants`,
    does: 'brings a Root that names this one key twice',
    code: 'KEY_CONFUSION',
    forge: () => ({
      change: withFile(
        '2.root.json',
        nextRoot((director) => director.oneKeyUnderTwoIds('targets')),
      ),
    }),
  },
  {
    name: 'Root left out',
    has: `${NODE}, and the third Root`,
    does: 'brings it as the second one, so that a revocation in the second one is lost',
    code: 'ROLLBACK',
    forge: () => ({
      change: withFile(
        '2.root.json',
        nextRoot((director) => director.newRoot().newRoot()),
      ),
    }),
  },
  {
    name: 'revoked key',
    has: `${NODE}, and the Targets key of the Director that a new Root has taken away`,
    does: 'signs Targets with it after the ECU has seen that Root',
    code: 'ARBITRARY_SOFTWARE',
    forge: async (ecu) => {
      const stolen = ecu.evil.director.signers('targets');
      for (const mock of [ecu.honest, ecu.evil]) mock.director.rotate('targets');
      expect(await ecu.bench.sendFile('metadata.json', await ecu.bundle())).toBe('77');
      await ecu.unlock();
      ecu.release(ecu.evil, '6.6.6');
      ecu.evil.director.publish().signWith('targets', stolen);
      return { from: ecu.evil, laterMs: 1000 };
    },
  },
  {
    name: 'old Targets after a rotation',
    has: `${NODE}, a Root that takes one of two Targets keys away, and an order that was withdrawn`,
    does: 'brings both: the key that is left has signed that order, too',
    vehicle: 'compares with the version of the Targets that it trusts, whatever became of the keys',
    code: 'ROLLBACK',
    only: 'partial',
    forge: async (ecu) => {
      const { director } = ecu.honest;
      const keys = [...director.signers('targets'), mockSigner('second Targets key')];
      director.setKeys('targets', keys);
      const { name } = ecu.release(ecu.honest, '3.0.0');
      const withdrawn = director.file('targets.json');
      director.removeTarget(name);
      expect(await ecu.bench.sendFile('metadata.json', await ecu.bundle())).toBe('77');
      await ecu.unlock();
      director.setKeys('targets', keys.slice(1));
      return { laterMs: 1000, change: withFile('targets.json', withdrawn) };
    },
  },
  {
    name: 'mixed bundle',
    has: `${NODE}, and two right bundles`,
    does: 'puts the Targets of one into the other',
    code: 'MIX_AND_MATCH',
    only: 'full',
    forge: (ecu) => {
      const old = ecu.honest.director.file('targets.json');
      ecu.release(ecu.honest, '3.0.0');
      return { change: withFile('targets.json', old) };
    },
  },
  {
    name: 'Director compromised, malware',
    has: `${NODE}, and every online key of the Director`,
    does: 'orders malware',
    vehicle: 'asks the image repository, which does not know it',
    code: 'UNKNOWN_TARGET',
    only: 'full',
    forge: (ecu) => {
      const release = mockRepositories({ vin: VIN }).release(ecu.name, { releaseCounter: 6 });
      order(ecu.evil, ecu.name, release);
      return { from: ecu.evil };
    },
  },
  {
    name: 'Director compromised, other bytes',
    has: `${NODE}, and every online key of the Director`,
    does: 'orders a right image with another hash',
    vehicle: 'compares both repositories',
    code: 'REPOSITORIES_DISAGREE',
    only: 'full',
    forge: (ecu) => {
      const hashes = { sha256: 'e'.repeat(64) };
      ecu.release(ecu.evil, '6.6.6', { order: { target: { hashes } } });
      return { from: ecu.evil };
    },
  },
  {
    name: 'image repository compromised, forged Targets',
    has: `${NODE}, every online key of the Director, and those of the image repository but that of Targets`,
    does: 'lists malware in image Targets that a key of his own has signed',
    code: 'ARBITRARY_SOFTWARE',
    only: 'full',
    forge: evil((ecu) => ecu.evil.images.foreignKeys('targets')),
  },
];

for (const kind of ['partial', 'full'] as const) {
  for (const { forge, only, ...row } of rows) {
    if (only !== undefined && only !== kind) continue;
    attack(
      {
        vehicle:
          'keeps image, trust and bank as they are, and tells the Director in its next report',
        ...row,
        name: `${row.name}, to an ECU with ${kind} verification`,
      },
      async () => {
        const ecu = await AttackedEcu.start(kind === 'partial' ? 'EDT' : 'INV');
        await ecu.unlock();
        const forged = await forge(ecu);
        const bundle = forged instanceof Uint8Array ? forged : await ecu.bundle(forged);
        const code = await ecu.refusal(bundle);
        await ecu.recovers();
        return code;
      },
    );
  }

  attack(
    {
      name: `metadata of another ECU, to an ECU with ${kind} verification`,
      has: `${NODE}, and right Targets that have an image for another ECU only`,
      does: 'brings them, and wants the bank erased',
      vehicle: 'believes them, finds nothing for itself, and erases nothing',
      code: 'NRC 22',
    },
    async () => {
      const ecu = await AttackedEcu.start(kind === 'partial' ? 'EDT' : 'INV');
      await ecu.unlock();
      ecu.honest.director.clearTargets();
      ecu.honest.assign(SERIALS.CGW, ecu.honest.release('CGW', { version: '3.0.0' }));
      expect(await ecu.bench.sendFile('metadata.json', await ecu.bundle())).toBe('77');
      const answer = await ecu.bench.ask('3101FF00');
      expect((await ecu.state()).erases).toBe(0);
      await ecu.recovers();
      return `NRC ${answer.slice(4)}`;
    },
  );

  attack(
    {
      name: `endless metadata, to an ECU with ${kind} verification`,
      has: NODE,
      does: 'announces a bundle of a mebibyte',
      vehicle: 'takes 256 KiB, and nothing of this one',
      code: 'NRC 31',
    },
    async () => {
      const ecu = await AttackedEcu.start(kind === 'partial' ? 'EDT' : 'INV');
      await ecu.unlock();
      const before = await ecu.state();
      const answer = await ecu.bench.ask(fileRequest('metadata.json', 1_048_576));
      expect(await ecu.state()).toEqual(before);
      await ecu.recovers();
      return `NRC ${answer.slice(4)}`;
    },
  );
}

attack(
  {
    name: 'Director compromised, malware, to an ECU with partial verification',
    has: `${NODE}, and every online key of the Director`,
    does: 'orders malware',
    vehicle: 'believes its Director: partial verification knows no other',
    code: 'none',
    open: 'It takes the Director and the Primary together; "verification: full" in the vehicle file closes it.',
  },
  async () => {
    const ecu = await AttackedEcu.start('EDT');
    await ecu.unlock();
    const release = mockRepositories({ vin: VIN }).release('EDT', { releaseCounter: 6 });
    order(ecu.evil, 'EDT', release);
    const bundle = await ecu.bundle({ from: ecu.evil });
    expect(await ecu.bench.sendFile('metadata.json', bundle)).toBe('77');
    await ecu.bench.transfer(release.image);
    expect(await ecu.bench.ask('31010202')).toBe('7101020200');
    // The same against the other kind is a row of its own above; what holds here are hardware and counter.
    return 'none';
  },
);

attack(
  {
    name: 'fast-forward of the time, to an ECU',
    has: `${NODE}, and every online key of the Director`,
    does: 'brings metadata that lasts as long as the Root, with a time shortly before its end',
    vehicle:
      'takes no earlier time any more, until a new Root takes the stolen keys away; then it goes on',
    code: 'ROLLBACK',
  },
  async () => {
    const ecu = await AttackedEcu.start('EDT');
    await ecu.unlock();
    // The Root of the mock lasts a year, and what lasts longer than a Root is of no use.
    const laterMs = 300 * DAY_MS;
    ecu.evil.director.expireAt('targets', ecu.evil.director.nowMs + 360 * DAY_MS);
    const bundle = await ecu.bundle({ from: ecu.evil, laterMs });
    expect(await ecu.bench.sendFile('metadata.json', bundle)).toBe('77');
    await ecu.unlock();
    ecu.honest.skip(DAY_MS);
    const code = await ecu.refusal(await ecu.bundle());
    ecu.honest.director.rotate('timestamp', 'snapshot', 'targets', 'time');
    await ecu.recovers();
    return code;
  },
);

attack(
  {
    name: 'bundle for the wrong question',
    has: `${NODE}, and a right bundle that was made for the nonce before the last restart`,
    does: 'brings it after the restart',
    vehicle: 'makes another nonce in each life, and knows that one only',
    code: 'FREEZE',
  },
  async () => {
    const ecu = await AttackedEcu.start('EDT');
    const bundle = await ecu.bundle();
    await ecu.bench.reset();
    await ecu.unlock();
    const code = await ecu.refusal(bundle);
    await ecu.recovers();
    return code;
  },
);

attack(
  {
    name: 'nonce asked away',
    has: NODE,
    does: 'reads FD21 again and again, so that the nonce of the TMU is never the last one',
    vehicle: 'keeps its nonce until a bundle has used it: the right bundle is taken',
    code: 'none',
  },
  async () => {
    const ecu = await AttackedEcu.start('EDT');
    await ecu.unlock();
    ecu.release(ecu.honest, '3.0.0');
    const bundle = await ecu.bundle();
    for (let read = 0; read < 50; read++) await ecu.bench.expect('22FD21');
    expect(await ecu.bench.sendFile('metadata.json', bundle)).toBe('77');
    await ecu.recovers();
    return 'none';
  },
);

attack(
  {
    name: 'bundle in the wrong form',
    has: `${NODE}, and a right bundle`,
    does: 'puts the files under names that lead elsewhere',
    vehicle: 'takes file names of metadata and no paths',
    code: 'MALFORMED',
  },
  async () => {
    const ecu = await AttackedEcu.start('EDT');
    await ecu.unlock();
    const files = new Map([['../../identity.json', new TextEncoder().encode('{}')]]);
    const bundle = encodeBundle({ time: null, director: files, images: new Map() });
    const code = await ecu.refusal(bundle);
    await ecu.recovers();
    return code;
  },
);
