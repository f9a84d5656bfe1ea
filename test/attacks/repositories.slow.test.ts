// The table of attacks: role by role, whoever has some keys of a repository and runs a copy of it.

import { expect } from 'vitest';
import {
  forgedRoot,
  honestRepositories,
  imageOf,
  REPOSITORIES,
  ROLES,
  strangers,
  thiefsRoot,
} from '../support/attack-repositories.ts';
import { attacksOn } from '../support/attack-table.ts';
import {
  AttackedVehicle,
  DAY_MS,
  MAY_MOVE_ON,
  malware,
  refusal,
} from '../support/attack-vehicle.ts';

const attack = attacksOn('repository');
const NAMES = { director: 'Director', images: 'image repository' } as const;

// ---- arbitrary software, role by role ----

for (const repository of REPOSITORIES) {
  const who = NAMES[repository];
  const how = repository === 'director' ? {} : MAY_MOVE_ON;

  for (const role of ROLES) {
    attack(
      {
        name: `arbitrary software, ${who} ${role}`,
        has: `every online key of the ${who} but that of ${role}`,
        does: `lists an image of his own, and signs ${role} with a key of his own`,
        vehicle: 'finds no right signature and installs nothing',
        code: 'ARBITRARY_SOFTWARE',
      },
      () =>
        refusal((evil, w) => {
          malware(w);
          evil[repository].foreignKeys(role);
        }, how),
    );

    // Who names a file refuses a lower version of it before it is fetched.
    const named = { timestamp: 'timestamp', snapshot: 'timestamp', targets: 'snapshot' }[role];
    attack(
      {
        name: `rollback, ${who} ${role}`,
        has: `every online key of the ${who}`,
        does: `signs ${role} with a version that is lower than the one the vehicle has seen`,
        vehicle: 'keeps the newer one and installs nothing',
        code: 'ROLLBACK',
      },
      () =>
        refusal(
          (evil, w) => {
            malware(w);
            evil[repository].setVersion(role, 3);
          },
          { ...how, where: `${repository} ${named}` },
        ),
    );

    attack(
      {
        name: `freeze, ${who} ${role}`,
        has: `the keys of the ${who} that are above ${role}, and an old ${role}`,
        does: `keeps showing that ${role}, although it has run out`,
        vehicle: 'sees by the attested time that it has expired, and says so',
        code: 'FREEZE',
      },
      () =>
        refusal((evil, w) => {
          malware(w);
          evil[repository].expire(role);
        }, how),
    );
  }

  attack(
    {
      name: `arbitrary software, ${who} root`,
      has: 'the network',
      does: 'offers the next Root, signed by keys of his own alone',
      vehicle: 'wants a threshold of the keys of the Root that it has',
      code: 'ARBITRARY_SOFTWARE',
    },
    () =>
      refusal((evil, w) => {
        malware(w);
        const forged = forgedRoot(repository, (next) => next.newRoot(strangers));
        evil[repository].replace('2.root.json', forged);
      }, how),
  );

  attack(
    {
      name: `arbitrary software, ${who} root with his keys`,
      has: 'the network',
      does: 'offers the next Root, which names keys of his own and is signed by them as it should',
      vehicle: 'wants a threshold of the keys of the Root that it has',
      code: 'ARBITRARY_SOFTWARE',
    },
    () =>
      refusal((evil, w) => {
        malware(w);
        evil[repository].replace('2.root.json', thiefsRoot(repository));
      }, how),
  );

  attack(
    {
      name: `arbitrary software, ${who} root that nobody could follow`,
      has: `a threshold of the Root keys of the ${who}`,
      does: 'signs a Root that names other Root keys, which have not signed it and which nobody has',
      vehicle: 'wants a threshold of the new keys, too, or no Root could ever follow',
      code: 'ARBITRARY_SOFTWARE',
    },
    () =>
      refusal((evil, w) => {
        malware(w);
        const forged = forgedRoot(repository, (next) =>
          next.signWith('root', next.signers('root')).setVersion('root', 1).rotate('root'),
        );
        evil[repository].replace('2.root.json', forged);
      }, how),
  );

  attack(
    {
      name: `arbitrary software, ${who} root, one key of two`,
      has: `one Root key of the ${who}, where two must sign`,
      does: 'signs the next Root with it',
      vehicle: 'counts one signature of two',
      code: 'ARBITRARY_SOFTWARE',
    },
    () =>
      refusal((evil, w) => {
        malware(w);
        const forged = forgedRoot(repository, (next) => next.tooFewSignatures('root'));
        evil[repository].replace('2.root.json', forged);
      }, how),
  );

  attack(
    {
      name: `rollback, ${who} root`,
      has: 'the network, and the first Root',
      does: 'gives the first Root out as the second one',
      vehicle: 'takes exactly the version that follows',
      code: 'ROLLBACK',
    },
    () =>
      refusal((evil, w) => {
        malware(w);
        evil[repository].replace('2.root.json', evil[repository].anchor);
      }, how),
  );

  attack(
    {
      name: `rollback, ${who} root, one left out`,
      has: 'the network, and the third Root',
      does: 'gives the third Root out as the second one, so that a revocation in the second one is lost',
      vehicle: 'takes exactly the version that follows',
      code: 'ROLLBACK',
    },
    () =>
      refusal((evil, w) => {
        malware(w);
        const third = forgedRoot(repository, (next) => next.newRoot().newRoot());
        evil[repository].replace('2.root.json', third);
      }, how),
  );

  attack(
    {
      name: `rollback, ${who} snapshot without Targets`,
      has: `every online key of the ${who}`,
      does: 'signs a Snapshot that does not list Targets any more',
      vehicle: 'knows what it has seen listed, and refuses that it is gone',
      code: 'ROLLBACK',
    },
    () =>
      refusal((evil, w) => {
        malware(w);
        evil[repository].edit('snapshot', (snapshot) => ({
          ...snapshot,
          meta: { 'other.json': { version: 1 } },
        }));
      }, how),
  );

  attack(
    {
      name: `mix and match, ${who}`,
      has: 'the network, and recorded files',
      does: 'answers with the Targets of an earlier publication under the name of the present one',
      vehicle: 'compares them with the hash and the version that Snapshot names',
      code: 'MIX_AND_MATCH',
    },
    () =>
      refusal((evil, w) => {
        malware(w);
        const old = evil[repository].file('targets.json');
        evil[repository].publish().files();
        evil[repository].replace(`${evil[repository].version('targets')}.targets.json`, old);
      }, how),
  );

  attack(
    {
      name: `mix and match, ${who}, same version`,
      has: `the Targets key of the ${who}, and no other one`,
      does: 'signs Targets of the version and the length that Snapshot names, with other images in them',
      vehicle: 'compares them with the hash that Snapshot names',
      code: 'MIX_AND_MATCH',
    },
    () =>
      refusal((evil, w) => {
        const other = honestRepositories();
        w.release(evil, 'EDT', '3.0.0', { image: imageOf('EDT', 'right') });
        w.release(other, 'EDT', '3.0.0', { image: imageOf('EDT', 'wrong') });
        const right = evil[repository];
        const wrong = other[repository].file('targets.json');
        const { length } = right.file('targets.json');
        expect([wrong.length, other[repository].version('targets')]).toEqual([
          length,
          right.version('targets'),
        ]);
        right.replace(`${right.version('targets')}.targets.json`, wrong);
      }, how),
  );

  attack(
    {
      name: `missing metadata, ${who}`,
      has: 'the network',
      does: 'says that there is no Timestamp',
      vehicle: 'installs nothing without it',
      code: 'MISSING_METADATA',
    },
    () =>
      refusal((evil, w) => {
        malware(w);
        evil[repository].omit('timestamp.json');
      }, how),
  );

  attack(
    {
      name: `freeze, ${who} root`,
      has: 'the network',
      does: 'hides every new Root until the one that the vehicle has is too old',
      vehicle: 'trusts no Root that has expired, and says so',
      code: 'FREEZE',
    },
    async () => {
      const w = await AttackedVehicle.start();
      await w.advance(366 * DAY_MS);
      w.attack((evil) => {
        malware(w);
        const other = repository === 'director' ? evil.images : evil.director;
        other.newRoot();
      });
      const code = await w.refusal(how);
      w.honest.director.newRoot();
      w.honest.images.newRoot();
      await w.recovers();
      return code;
    },
  );

  attack(
    {
      name: `key revoked, ${who} targets`,
      has: `the Targets key of the ${who} that was taken from it, and all its other online keys`,
      does: 'signs Targets with it after the Root that revokes it was seen',
      vehicle: 'knows the key no more',
      code: 'ARBITRARY_SOFTWARE',
    },
    () =>
      refusal(async (evil, w) => {
        const stolen = evil[repository].signers('targets');
        for (const mock of [w.honest, evil]) {
          mock[repository].rotate('targets');
          // Something to install, so that the vehicle looks at the image repository.
          w.release(mock, 'INV', '3.0.0');
        }
        expect((await w.once()).outcome).toBe('SUCCESS');
        malware(w);
        evil[repository].signWith('targets', stolen);
      }, how),
  );
}

// ---- what the form of a file can hide ----

attack(
  {
    name: 'one key counts twice',
    has: 'one Targets key of the Director, where a new Root wants two, and that Root lists it under two ids',
    does: 'signs Targets twice with the one key',
    vehicle: 'computes key ids by itself, and refuses the Root',
    code: 'KEY_CONFUSION',
  },
  () =>
    refusal((evil, w) => {
      malware(w);
      const forged = forgedRoot('director', (next) => next.oneKeyUnderTwoIds('targets'));
      evil.director.replace('2.root.json', forged);
    }),
);

attack(
  {
    name: 'key under the id of another',
    has: 'a hand in the ceremony of a Root, but no key',
    does: 'lists a Targets key of the Director under an id that is not its own',
    vehicle: 'computes key ids by itself, and refuses the Root',
    code: 'KEY_CONFUSION',
  },
  () =>
    refusal((evil, w) => {
      malware(w);
      const forged = forgedRoot('director', (next) => {
        const { keyId } = next.signers('targets')[0]!;
        const text = (root: object) => JSON.stringify(root).replaceAll(keyId, 'ab'.repeat(32));
        next.edit('root', (root) => JSON.parse(text(root)));
      });
      evil.director.replace('2.root.json', forged);
    }),
);

attack(
  {
    name: 'two versions in one file',
    has: 'the Timestamp and Snapshot keys of the Director',
    does: 'writes a second version into signed Targets: some parsers read the first one, some the last',
    vehicle: 'refuses JSON that says something twice',
    code: 'MALFORMED',
  },
  () =>
    refusal((evil, w) => {
      malware(w);
      evil.director.duplicateJsonKey('targets');
    }),
);

attack(
  {
    name: 'one name in two spellings',
    has: 'the online keys of the Director',
    does: 'writes a name with a combining accent, which looks like another one and is not',
    vehicle: 'refuses text that is not in Normalization Form C',
    code: 'MALFORMED',
  },
  () =>
    refusal((evil, w) => {
      malware(w);
      evil.director.edit('targets', (targets) => ({ ...targets, note: 'e\u0301' }));
    }),
);
