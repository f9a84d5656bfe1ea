// The table of attacks: the image repository compromised, its suppliers, and both repositories together.

import { expect } from 'vitest';
import { imageOf, order, unknownRelease } from '../support/attack-repositories.ts';
import { attacksOn } from '../support/attack-table.ts';
import { AttackedVehicle, MAY_MOVE_ON, malware, refusal } from '../support/attack-vehicle.ts';

const attack = attacksOn('repository');

// ---- one repository compromised: the image repository ----

attack(
  {
    name: 'image repository compromised, malware',
    has: 'every key of the image repository, the offline ones too',
    does: 'lists malware as the newest release of every ECU',
    vehicle: 'installs only what its Director orders',
    code: 'none',
  },
  async () => {
    const w = await AttackedVehicle.start();
    w.attack((evil) => {
      for (const ecu of ['CGW', 'EDT', 'INV']) {
        evil.release(ecu, { version: '6.6.6', releaseCounter: 6, image: imageOf(ecu, 'malware') });
      }
    });
    const code = await w.refusal({ outcome: 'UP_TO_DATE', ...MAY_MOVE_ON });
    await w.recovers();
    return code;
  },
);

attack(
  {
    name: 'image repository compromised, other bytes under a right name',
    has: 'every key of the image repository, the offline ones too',
    does: 'puts other bytes in place of an image that the Director orders, and signs their hash',
    vehicle: 'compares both repositories',
    code: 'REPOSITORIES_DISAGREE',
  },
  () =>
    refusal((evil, w) => {
      const { name, target } = w.release(evil, 'EDT', '3.0.0');
      const image = imageOf('EDT', 'malware');
      evil.images.addTarget(name, { ...target, hashes: { sha256: 'e'.repeat(64) } });
      w.backend.images.set(name, image);
    }, MAY_MOVE_ON),
);

attack(
  {
    name: 'image repository compromised, a release taken away',
    has: 'every key of the image repository, the offline ones too',
    does: 'takes the image that the Director orders out of its list',
    vehicle: 'installs nothing that only one repository knows',
    code: 'UNKNOWN_TARGET',
  },
  () =>
    refusal((evil, w) => {
      const { name } = w.release(evil, 'EDT', '3.0.0');
      evil.images.removeTarget(name);
    }, MAY_MOVE_ON),
);

attack(
  {
    name: 'supplier compromised',
    has: 'every online key of the Director, and that of the supplier of INV',
    does: 'orders an image for EDT that this supplier has signed',
    vehicle: 'believes a supplier only about the names and the hardware that were delegated to it',
    code: 'UNKNOWN_TARGET',
  },
  () =>
    refusal((evil, w) => {
      const release = unknownRelease();
      for (const { images } of [w.honest, evil]) {
        images.delegate(
          { name: 'supplier', paths: ['INV-*', 'EDT-*'], hardwareIds: ['INV-HW-1'] },
          images === evil.images ? { [release.name]: release.target } : {},
        );
      }
      order(evil, 'EDT', release);
    }, MAY_MOVE_ON),
);

attack(
  {
    name: 'one of two suppliers compromised',
    has: 'every online key of the Director, and that of one of two suppliers who must agree about EDT',
    does: 'orders an image for EDT that this supplier alone has signed',
    vehicle: 'wants both to say the same',
    code: 'UNKNOWN_TARGET',
  },
  () =>
    refusal((evil, w) => {
      const release = unknownRelease();
      for (const { images } of [w.honest, evil]) {
        const signed = images === evil.images ? { [release.name]: release.target } : {};
        images.delegateToSeveral(
          { name: 'both', paths: ['EDT-*'], minRolesInAgreement: 2, terminating: true },
          { 'supplier-a': signed, 'supplier-b': {} },
        );
      }
      order(evil, 'EDT', release);
    }, MAY_MOVE_ON),
);

for (const [how, names] of [
  ['one key under two names', ['supplier-a', 'supplier-b']],
  ['one role named twice', ['supplier-a', 'supplier-a']],
] as const) {
  attack(
    {
      name: `one supplier in place of two, ${how}`,
      has: 'every online key of the Director, and that of the one supplier whom this delegation means twice',
      does: 'orders an image for EDT, on which two suppliers must agree',
      vehicle: 'counts one role and one key once',
      code: 'UNKNOWN_TARGET',
    },
    () =>
      refusal((evil, w) => {
        const release = unknownRelease();
        for (const { images } of [w.honest, evil]) {
          const signed = images === evil.images ? { [release.name]: release.target } : {};
          images.delegateToSeveral(
            { name: 'both', paths: ['EDT-*'], minRolesInAgreement: 2, terminating: true },
            { 'supplier-a': signed, 'supplier-b': {} },
          );
          images.writeDelegated('supplier-b', images.signers('supplier-a'), signed);
          images.edit('targets', (all) => {
            const { keys, roles } = all.delegations as {
              keys: object;
              roles: { roles: object[] }[];
            };
            const members = names.map((name) => ({ ...roles[0]!.roles[0], name }));
            return { ...all, delegations: { keys, roles: [{ ...roles[0], roles: members }] } };
          });
        }
        order(evil, 'EDT', release);
      }, MAY_MOVE_ON),
  );
}

attack(
  {
    name: 'role without a file',
    has: 'the offline Targets key of the image repository',
    does: 'delegates to a role whose name is longer than any file name, so that the disk seems to fail',
    vehicle: 'calls it malformed, and asks for no such file',
    code: 'MALFORMED',
  },
  () =>
    refusal((evil, w) => {
      evil.images.delegate({ name: 'x'.repeat(300), paths: ['*'] });
      order(evil, 'EDT', unknownRelease());
      w.honest.images.rotate('timestamp', 'snapshot', 'targets');
    }, MAY_MOVE_ON),
);

attack(
  {
    name: 'endless delegations',
    has: 'the offline Targets key of the image repository',
    does: 'delegates to one role after the other, so that the search for an image never ends',
    vehicle: 'asks 64 roles about one image, and gives up',
    code: 'ENDLESS_DATA',
  },
  () =>
    refusal((evil, w) => {
      for (let count = 0; count < 70; count++) {
        evil.images.delegate({ name: `maze-${count}`, paths: ['*'] });
      }
      order(evil, 'EDT', unknownRelease());
      w.honest.images.rotate('timestamp', 'snapshot', 'targets');
    }, MAY_MOVE_ON),
);

// ---- both repositories compromised ----

attack(
  {
    name: 'both repositories compromised, malware',
    has: 'every key of both repositories but those of the Roots',
    does: 'releases malware for EDT and INV, and orders it',
    vehicle: 'asks the driver, and installs it: there is nobody left who could say no',
    code: 'none',
    open: 'Two repositories are there so that it takes both. Hardware, release counter and the driver still hold.',
  },
  async () => {
    const w = await AttackedVehicle.start();
    w.attack((evil) => {
      for (const ecu of ['EDT', 'INV'] as const) {
        w.release(evil, ecu, '6.6.6', { image: imageOf(ecu, 'malware') });
      }
    });
    const result = await w.once();
    expect(result.outcome).toBe('SUCCESS');
    for (const ecu of ['EDT', 'INV'] as const) {
      expect(w.running(ecu)).toBe('6.6.6');
      expect(w.ecu(ecu).storage.contents('bank-a.bin')).toEqual(imageOf(ecu, 'malware'));
    }
    expect(w.ecu('CGW').events).toContainEqual(
      expect.objectContaining({ kind: 'approval', status: 'approved' }),
    );
    return result.code ?? 'none';
  },
);

attack(
  {
    name: 'both repositories compromised, older release',
    has: 'every key of both repositories but those of the Roots',
    does: 'releases and orders the factory image of EDT again, with the counter that it had',
    vehicle: 'takes no release counter below the one that it has installed',
    code: 'ROLLBACK',
  },
  () => refusal((evil, w) => w.release(evil, 'EDT', '6.6.6', { releaseCounter: 1 })),
);

attack(
  {
    name: 'both repositories compromised, other hardware',
    has: 'every key of both repositories but those of the Roots',
    does: 'releases and orders an image for EDT that names hardware of another vehicle',
    vehicle: 'knows which hardware it has',
    code: 'WRONG_HARDWARE',
  },
  () => refusal((evil, w) => w.release(evil, 'EDT', '6.6.6', { hardwareIds: ['EDT-HW-9'] })),
);

attack(
  {
    name: 'both repositories compromised, driver says no',
    has: 'every key of both repositories but those of the Roots',
    does: 'releases malware for EDT, and orders it',
    vehicle: 'asks the driver first, and without a yes nothing is erased',
    code: 'DENIED',
  },
  () =>
    refusal(
      (_evil, w) => malware(w),
      { outcome: 'USER_REJECTED', ...MAY_MOVE_ON },
      {
        approve: 'no',
      },
    ),
);

attack(
  {
    name: 'key revoked, and the revocation hidden',
    has: 'the online keys of the Director that a new Root takes away, and the network in which he hides that Root',
    does: 'goes on signing with them',
    vehicle: 'cannot know of the new Root; the image repository still says no to malware',
    code: 'UNKNOWN_TARGET',
    open: 'Until the Root that the vehicle has expires he is as strong as a compromised Director.',
  },
  () =>
    refusal((evil, w) => {
      w.honest.director.rotate('timestamp', 'snapshot', 'targets', 'time');
      order(evil, 'EDT', unknownRelease());
    }, MAY_MOVE_ON),
);
