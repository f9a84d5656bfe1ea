// The table of attacks: the Director compromised, with all the keys that are online there, or with more.

import { expect } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { order, unknownRelease } from '../support/attack-repositories.ts';
import { attacksOn } from '../support/attack-table.ts';
import {
  AttackedVehicle,
  DAY_MS,
  HOUR_MS,
  MAY_MOVE_ON,
  refusal,
} from '../support/attack-vehicle.ts';
import { FakeTerminal } from '../support/fake-terminal.ts';
import type { AssignOptions } from '../support/mock-repositories.ts';

const attack = attacksOn('repository');

type DirectorLie = readonly [what: string, options: AssignOptions];

const lies: readonly DirectorLie[] = [
  ['hash', { target: { hashes: { sha256: 'e'.repeat(64) } } }],
  ['length', { target: { length: 4000 } }],
  ['version', { custom: { version: '9.9.9' } }],
  ['release counter', { custom: { releaseCounter: 9 } }],
  ['hardware ids', { custom: { hardwareIds: ['EDT-HW-1', 'INV-HW-1'] } }],
  ['dependencies', { custom: { dependencies: { INV: '>=1.0.0' } } }],
];
for (const [what, options] of lies) {
  attack(
    {
      name: `Director compromised, another ${what}`,
      has: 'every online key of the Director',
      does: `orders an image that the image repository has signed, with another ${what}`,
      vehicle: 'compares both repositories field by field',
      code: 'REPOSITORIES_DISAGREE',
    },
    () => refusal((evil, w) => w.release(evil, 'EDT', '3.0.0', { order: options }), MAY_MOVE_ON),
  );
}

attack(
  {
    name: 'Director compromised, encryption dropped',
    has: 'every online key of the Director, and wants to read an image that was released encrypted',
    does: 'orders it in plain',
    vehicle: 'knows from the image repository that it must be encrypted',
    code: 'REPOSITORIES_DISAGREE',
  },
  () =>
    refusal(
      (evil, w) =>
        w.release(evil, 'EDT', '3.0.0', {
          encrypt: true,
          order: { custom: { encrypt: false } },
        }),
      MAY_MOVE_ON,
    ),
);

attack(
  {
    name: 'Director compromised, forced',
    has: 'every online key of the Director, and wants an image installed that the driver would deny',
    does: 'calls it a safety release, about which drivers are not asked',
    vehicle: 'knows from the image repository that it is none',
    code: 'REPOSITORIES_DISAGREE',
  },
  () =>
    refusal(
      (evil, w) => w.release(evil, 'EDT', '3.0.0', { order: { custom: { forced: true } } }),
      MAY_MOVE_ON,
    ),
);

attack(
  {
    name: 'Director compromised, another text for the driver',
    has: 'every online key of the Director, and wants an image installed that the driver would deny',
    does: 'orders a right image, and says of it what the driver likes to hear',
    vehicle: 'shows the driver what the image repository has signed about the image',
    code: 'none',
  },
  async () => {
    const terminal = new FakeTerminal(false);
    const w = await AttackedVehicle.start({ approve: 'ask', terminal });
    w.attack();
    w.release(w.evil, 'EDT', '3.0.0', {
      notes: 'takes the reverse gear away',
      order: { custom: { notes: 'a new map of the radio' } },
    });
    w.tamper = (request, ecu) => {
      if (ecu === 'CGW' && toHex(request).startsWith('31030200')) terminal.type('approve\n');
      return undefined;
    };
    expect((await w.once()).outcome).toBe('SUCCESS');
    expect(terminal.text).toContain('takes the reverse gear away');
    expect(terminal.text).not.toContain('radio');
    return 'none';
  },
);

attack(
  {
    name: 'Director compromised, malware',
    has: 'every online key of the Director',
    does: 'orders an image that nobody else has signed',
    vehicle: 'asks the image repository, which does not know it',
    code: 'UNKNOWN_TARGET',
  },
  () => refusal((evil) => order(evil, 'EDT', unknownRelease()), MAY_MOVE_ON),
);

attack(
  {
    name: 'Director compromised, image of another ECU',
    has: 'every online key of the Director',
    does: 'orders the image of INV for EDT',
    vehicle: 'sees for which ECU the image was made',
    code: 'WRONG_ECU',
  },
  () =>
    refusal((evil) => {
      const release = evil.release('INV', { version: '3.0.0', releaseCounter: 3 });
      order(evil, 'EDT', release, { hardwareId: 'EDT-HW-1' });
    }),
);

attack(
  {
    name: 'Director compromised, image of another ECU relabelled',
    has: 'every online key of the Director',
    does: 'orders the image of INV for EDT, and says that it was made for EDT',
    vehicle: 'reads in the image repository for which hardware it was released',
    code: 'WRONG_HARDWARE',
  },
  () =>
    refusal((evil) => {
      const release = evil.release('INV', { version: '3.0.0', releaseCounter: 3 });
      const custom = { ecu: 'EDT', hardwareIds: ['EDT-HW-1'] };
      order(evil, 'EDT', release, { hardwareId: 'EDT-HW-1', custom });
    }, MAY_MOVE_ON),
);

attack(
  {
    name: 'Director compromised, other hardware',
    has: 'every online key of the Director',
    does: 'orders the image of a later hardware revision of EDT',
    vehicle: 'knows which hardware it has',
    code: 'WRONG_HARDWARE',
  },
  () => refusal((evil, w) => w.release(evil, 'EDT', '3.0.0', { hardwareIds: ['EDT-HW-2'] })),
);

attack(
  {
    name: 'Director compromised, older release',
    has: 'every online key of the Director, and an old release with a known hole that is still listed',
    does: 'orders that release, in Targets with a higher version',
    vehicle: 'takes no release counter below the one that it has installed',
    code: 'ROLLBACK',
  },
  () =>
    refusal((evil) => {
      const old = evil.release('EDT', { version: '9.0.0', releaseCounter: 1 });
      order(evil, 'EDT', old);
    }),
);

attack(
  {
    name: 'Director compromised, unknown ECU',
    has: 'every online key of the Director',
    does: 'orders an image for a serial number that is not in the vehicle',
    vehicle: 'knows its ECUs, and refuses the whole file',
    code: 'UNKNOWN_ECU',
  },
  () =>
    refusal((evil, w) => {
      const release = w.release(evil, 'EDT', '3.0.0');
      evil.assign('CO-999999', release);
    }),
);

attack(
  {
    name: 'Director compromised, two images for one ECU',
    has: 'every online key of the Director',
    does: 'orders two images for one ECU, so that each reader picks another one',
    vehicle: 'takes one image for each ECU, or none',
    code: 'DUPLICATE_ECU',
  },
  () =>
    refusal((evil, w) => {
      w.release(evil, 'EDT', '3.0.0');
      const second = evil.release('EDT', { version: '4.0.0', releaseCounter: 4 });
      evil.assign('CO-000003', second);
    }),
);

attack(
  {
    name: 'Director compromised, delegation',
    has: 'every online key of the Director, for a short time',
    does: 'delegates to a key of his own, which nobody will take from him',
    vehicle: 'takes no delegation of a Director',
    code: 'DELEGATION_IN_DIRECTOR',
  },
  () =>
    refusal((evil, w) => {
      evil.director.delegate({ name: 'thief', paths: ['*'] });
      // The owner takes the keys from him: what Snapshot has listed once cannot just go.
      w.honest.director.rotate('timestamp', 'snapshot', 'targets');
    }),
);

attack(
  {
    name: 'Director replay, Targets of another vehicle',
    has: 'the empty Targets that the Director has signed for another vehicle, and its Snapshot and Timestamp keys',
    does: 'shows them to this one, so that it has nothing to install',
    vehicle: 'finds another VIN in them',
    code: 'WRONG_VEHICLE',
  },
  () =>
    refusal((evil) => {
      evil.director.clearTargets();
      evil.director.setCustom({ vin: '1CANXTABENCH00001' });
    }),
);

attack(
  {
    name: 'Director replay, empty Targets without a vehicle',
    has: 'empty Targets that name no vehicle, and the Snapshot and Timestamp keys of the Director',
    does: 'shows them to every vehicle',
    vehicle: 'wants its VIN in them',
    code: 'WRONG_VEHICLE',
  },
  () =>
    refusal((evil) => {
      evil.director.clearTargets();
      evil.director.setCustom(undefined);
    }),
);

attack(
  {
    name: 'Director replay, own empty Targets of an earlier day',
    has: 'the network, and what the Director signed for this vehicle when it had nothing for it',
    does: 'shows it again after there was an update',
    vehicle: 'has seen newer versions',
    code: 'ROLLBACK',
  },
  async () => {
    const w = await AttackedVehicle.start();
    const recorded = new Map<string, Uint8Array>();
    // First nothing at all, then an update: both were seen by the vehicle.
    w.honest.director.clearTargets();
    expect((await w.once()).outcome).toBe('UP_TO_DATE');
    for (const [file, bytes] of w.honest.files('director')) recorded.set(file, bytes);
    // When a check is due is kept in whole milliseconds: for the rest of this one the last check counts.
    await w.clock.advance(1);
    w.release(w.honest, 'EDT', '3.0.0');
    expect((await w.once()).outcome).toBe('SUCCESS');
    w.attack((evil) => {
      for (const [file, bytes] of recorded) evil.director.replace(file, bytes);
    });
    const code = await w.refusal();
    await w.recovers('EDT', '4.0.0');
    return code;
  },
);

attack(
  {
    name: 'Director compromised, a name that is a path',
    has: 'every online key of the Director',
    does: 'orders an image whose name leads out of the folder for images',
    vehicle: 'takes no such name',
    code: 'MALFORMED',
  },
  () => refusal((evil) => order(evil, 'EDT', { ...unknownRelease(), name: '../../identity.json' })),
);

attack(
  {
    name: 'Director compromised, withholding',
    has: 'every online key of the Director',
    does: 'signs day by day that there is nothing to install',
    vehicle: 'keeps what it runs; it cannot know of a release that its Director never names',
    code: 'none',
    open: 'Updates stay away as long as nobody looks at the Director. Nothing else is lost.',
  },
  async () => {
    const w = await AttackedVehicle.start();
    w.release(w.honest, 'EDT', '3.0.0');
    w.attack((evil) => evil.director.clearTargets());
    const code = await w.refusal({ outcome: 'UP_TO_DATE', ...MAY_MOVE_ON });
    await w.recovers();
    return code;
  },
);

attack(
  {
    name: 'Director compromised, mixed bundle',
    has: 'every online key of the Director',
    does: 'orders a release for INV that needs a newer EDT, and leaves EDT as it is',
    vehicle:
      'reads in the signed release what it needs, asks EDT what it runs, and installs nothing',
    code: 'DEPENDENCY',
  },
  async () => {
    const w = await AttackedVehicle.start();
    w.attack((evil) => w.release(evil, 'INV', '3.0.0', { dependencies: { EDT: '>=3.0.0' } }));
    const before = w.state().running;
    const result = await w.once();
    expect(result.outcome).toBe('PRECONDITION_FAILED');
    expect(w.state().running).toEqual(before);
    expect(w.ecu('INV').events.map(({ kind }) => kind)).not.toContain('erase');
    return result.code ?? 'none';
  },
);

attack(
  {
    name: 'fast-forward',
    has: 'the Timestamp and Snapshot keys of the Director',
    does: 'counts their versions up to the highest there is, so that nothing newer can follow',
    vehicle: 'refuses what is lower, until a new Root takes the stolen keys away; then it goes on',
    code: 'ROLLBACK',
  },
  async () => {
    const w = await AttackedVehicle.start();
    w.attack((evil) => {
      evil.director.setVersion('snapshot', 2 ** 31 - 1).setVersion('timestamp', 2 ** 31 - 1);
    });
    expect((await w.once()).outcome).toBe('UP_TO_DATE');
    w.serving = w.honest;
    await w.advance(HOUR_MS);
    const code = await w.refusal();
    w.honest.director.rotate('timestamp', 'snapshot');
    await w.recovers();
    return code;
  },
);

attack(
  {
    name: 'fast-forward of the time',
    has: 'every online key of the Director',
    does: 'says that it is 50 years later',
    vehicle:
      'takes no earlier time any more, until a new Root takes the stolen keys away; then it goes on',
    code: 'ROLLBACK',
  },
  async () => {
    const w = await AttackedVehicle.start();
    w.attack();
    const laterMs = 50 * 365 * DAY_MS;
    w.backend.makeTime = (nonces) => w.backend.attest(w.clock.wallMs() + laterMs, nonces);
    expect(await w.refusal()).toBe('FREEZE');
    w.backend.letThrough();
    w.serving = w.honest;
    const code = await w.refusal();
    w.honest.director.rotate('timestamp', 'snapshot', 'targets', 'time');
    await w.recovers();
    return code;
  },
);

attack(
  {
    name: 'Root keys of the Director stolen',
    has: 'a threshold of the Root keys of the Director',
    does: 'takes over the whole Director by a Root with keys of his own, and orders malware',
    vehicle: 'follows the Root, and asks the image repository, which does not know the image',
    code: 'UNKNOWN_TARGET',
    open: 'This vehicle does not hear the right Director any more until it is provisioned again.',
  },
  async () => {
    const w = await AttackedVehicle.start();
    w.attack((evil) => {
      evil.director.rotate('root', 'timestamp', 'snapshot', 'targets', 'time');
      order(evil, 'EDT', unknownRelease());
    });
    const code = await w.refusal(MAY_MOVE_ON);
    w.serving = w.honest;
    expect(await w.refusal(MAY_MOVE_ON)).toBe('ARBITRARY_SOFTWARE');
    return code;
  },
);

attack(
  {
    name: 'endless Roots',
    has: 'a threshold of the Root keys of the Director',
    does: 'offers one new Root after the other',
    vehicle: 'follows 256 of them in one cycle, keeps them, and ends the cycle',
    code: 'ENDLESS_DATA',
  },
  async () => {
    const w = await AttackedVehicle.start();
    w.attack((evil) => {
      for (let count = 0; count < 260; count++) evil.director.newRoot();
    });
    const code = await w.refusal();
    expect(w.trusts('director', 'root')).toBe(257);
    expect((await w.once()).outcome).toBe('UP_TO_DATE');
    expect(w.trusts('director', 'root')).toBe(261);
    return code;
  },
);
