// Who may speak about an image: order, limits, hardware ids, several roles together, and roles that lie.

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { TargetSearch } from '../../../src/trust/delegations.ts';
import { filesOf, restoreTrust } from '../../../src/trust/repository.ts';
import { fileOf } from '../../../src/trust/retrieval.ts';
import { MOCK_NOW_MS, type MockRepository, mockSigner } from '../../support/mock-repositories.ts';
import { ANY, search } from './delegations-support.ts';
import { image, mockImages, must, updated } from './support.ts';

/** Signed by everybody who says it, with all fields that must match. */
function release(length: number, custom: object = {}) {
  const fields = { ecu: 'EDT', version: '2.0.0', hardwareIds: ['EDT-HW-1'], releaseCounter: 2 };
  return { ...image(length), custom: { ...fields, ...custom } };
}

interface NamedRole {
  readonly name: string;
  readonly keyids: readonly string[];
  readonly threshold: number;
}

describe('a search', () => {
  it('takes the image of Targets before anybody else is asked', () => {
    const images = mockImages().delegate({ name: 'a', ...ANY }, { 'app.bin': image(7) });
    expect(search(images, 'app.bin')).toMatchObject({ asked: [], length: 1 });
  });

  it('goes depth first in the listed order, each role once', () => {
    const images = mockImages()
      .delegate({ name: 'a', ...ANY })
      .delegate({ name: 'b', ...ANY }, { 'x.bin': image(2) })
      .delegate({ name: 'c', ...ANY }, {}, 'a')
      .delegate({ name: 'd', ...ANY }, {}, 'c');
    expect(search(images, 'x.bin')).toMatchObject({ asked: ['a', 'c', 'd', 'b'], length: 2 });
    expect(search(images, 'nobody.bin')).toMatchObject({ asked: ['a', 'c', 'd', 'b'] });
    expect(search(images, 'nobody.bin').outcome).toEqual({ ok: true, value: undefined });
  });

  it('keeps the order of roles that are called like numbers', () => {
    const images = mockImages()
      .delegate({ name: '7', ...ANY }, { 'x.bin': image(7) })
      .delegate({ name: '1', ...ANY }, { 'x.bin': image(1) });
    expect(search(images, 'x.bin')).toMatchObject({ asked: ['7'], length: 7 });
  });

  it('asks only whose pattern or path hash fits', () => {
    const prefix = createHash('sha256').update('x.bin').digest('hex').slice(0, 2);
    const other = prefix === '00' ? '01' : '00';
    const images = mockImages()
      .delegate({ name: 'docs', paths: ['*.txt'] })
      .delegate({ name: 'nothing' })
      .delegate({ name: 'bin-1', pathHashPrefixes: [other] })
      .delegate({ name: 'bin-2', pathHashPrefixes: [other, prefix] }, { 'x.bin': image(2) });
    expect(search(images, 'x.bin')).toMatchObject({ asked: ['bin-2'], length: 2 });
  });

  it('believes a role in nothing that was not delegated to it', () => {
    const images = mockImages().delegate({ name: 'a', paths: ['a-*'] }, { 'b-1': image(2) });
    expect(search(images, 'b-1')).toMatchObject({ asked: [], length: undefined });
  });

  it('ends at a terminating delegation, after the roles below it', () => {
    const images = mockImages()
      .delegate({ name: 'a', terminating: true, ...ANY })
      .delegate({ name: 'b', ...ANY }, { 'x.bin': image(2) })
      .delegate({ name: 'c', ...ANY }, {}, 'a');
    expect(search(images, 'x.bin')).toMatchObject({ asked: ['a', 'c'], length: undefined });
  });

  it('passes over a terminating delegation of other names', () => {
    const images = mockImages()
      .delegate({ name: 'a', terminating: true, paths: ['y-*'] })
      .delegate({ name: 'b', ...ANY }, { 'x.bin': image(2) });
    expect(search(images, 'x.bin').length).toBe(2);
  });

  it('wants the threshold of the delegation', () => {
    const images = mockImages().delegate(
      { name: 'a', threshold: 2, ...ANY },
      { 'x.bin': image(2) },
    );
    expect(search(images, 'x.bin').length).toBe(2);
    images.writeDelegated('a', images.signers('a').slice(1), { 'x.bin': image(3) });
    expect(search(images, 'x.bin').outcome).toMatchObject({
      code: 'ARBITRARY_SOFTWARE',
      where: 'a',
    });
  });

  it.each([
    ['missing', (it: MockRepository) => it.omit('1.a.json'), 'MISSING_METADATA'],
    ['endless', (it: MockRepository) => it.endless('1.a.json'), 'ENDLESS_DATA'],
    ['slow', (it: MockRepository) => it.slow('1.a.json'), 'SLOW_RETRIEVAL'],
    ['expired', (it: MockRepository) => it.expire('a'), 'FREEZE'],
    [
      'signed by a stranger',
      (it: MockRepository) => it.writeDelegated('a', [mockSigner('eve')], {}).setVersion('a', 1),
      'ARBITRARY_SOFTWARE',
    ],
  ])('is aborted by a role whose file is %s: nobody later may step in', (_, attack, code) => {
    const images = mockImages()
      .delegate({ name: 'a', ...ANY }, { 'x.bin': image(2) })
      .delegate({ name: 'b', ...ANY }, { 'x.bin': image(3) });
    attack(images);
    expect(search(images, 'x.bin').outcome).toMatchObject({ ok: false, code, where: 'a' });
  });

  it('does not ask a role that Snapshot does not list', () => {
    const images = mockImages().delegate({ name: 'a', ...ANY }, { 'x.bin': image(2) });
    images.edit('snapshot', (all) => {
      const { 'a.json': _, ...meta } = all.meta as Record<string, unknown>;
      return { ...all, meta };
    });
    const found = search(images, 'x.bin');
    expect(found.asked).toEqual([]);
    expect(found.outcome).toMatchObject({ code: 'MISSING_METADATA', where: 'a' });
  });

  it('takes a role that it has from what it kept, and does not take back an older one', () => {
    const images = mockImages().delegate({ name: 'a', ...ANY }, { 'x.bin': image(2) });
    const first = search(images, 'x.bin');
    const kept = must(restoreTrust(filesOf(first.trust)));
    expect(search(images, 'x.bin', undefined, kept)).toMatchObject({ asked: [], length: 2 });
    images.writeDelegated('a', images.signers('a'), { 'x.bin': image(3) });
    const second = search(images, 'x.bin', undefined, updated(images, kept));
    expect(second).toMatchObject({ asked: ['a'], length: 3 });
  });

  it('checks a kept role with the keys of whoever delegates now', () => {
    const images = mockImages()
      .delegate({ name: 'team-a', paths: ['a-*'] })
      .delegate({ name: 'team-b', paths: ['b-*'] })
      .delegate({ name: 'shared', ...ANY }, {}, 'team-a')
      .delegate({ name: 'shared', ...ANY }, {}, 'team-b');
    images.writeDelegated('shared', images.signers('shared'), { 'a-1': image(2), 'b-1': image(3) });
    // Team B names another key for it.
    const eve = mockSigner('eve');
    images.edit('team-b', (all) => ({
      ...all,
      delegations: {
        keys: { [eve.keyId]: eve.publicKey },
        roles: [
          { name: 'shared', keyids: [eve.keyId], threshold: 1, terminating: false, paths: ['*'] },
        ],
      },
    }));
    const first = search(images, 'a-1');
    expect(first.length).toBe(2);
    expect(search(images, 'b-1', undefined, first.trust).outcome).toMatchObject({
      code: 'ARBITRARY_SOFTWARE',
      where: 'shared',
    });
  });

  it('asks for a role by a name that leaves no folder', () => {
    const images = mockImages().delegate({ name: '../a?', ...ANY });
    const asking = new TargetSearch(updated(images), 'x.bin', MOCK_NOW_MS);
    expect(asking.next()?.file).toBe('1...%2Fa%3F.json');
  });

  it('needs Targets', () => {
    const { root, dialect } = updated(mockImages());
    const bare = { root, dialect, targets: new Map() };
    expect(() => new TargetSearch(bare, 'x', 0).next()).toThrow('update the repository first');
  });

  it('refuses a delegated role that calls itself a top-level one', () => {
    const images = mockImages().edit('targets', (all) => ({
      ...all,
      delegations: {
        keys: {},
        roles: [{ name: 'root', keyids: [], threshold: 1, terminating: false, paths: ['*'] }],
      },
    }));
    expect(() => updated(images)).toThrow('MALFORMED');
  });
});

describe('hardware ids', () => {
  const images = mockImages()
    .delegate({ name: 'edt', hardwareIds: ['EDT-HW-1'], ...ANY }, { 'x.bin': image(2) })
    .delegate({ name: 'all', ...ANY }, { 'x.bin': image(3) });

  it('limit who is asked', () => {
    expect(search(images, 'x.bin', 'EDT-HW-1')).toMatchObject({ asked: ['edt'], length: 2 });
    expect(search(images, 'x.bin', 'INV-HW-1')).toMatchObject({ asked: ['all'], length: 3 });
  });

  it('are not met by somebody who names none', () => {
    expect(search(images, 'x.bin')).toMatchObject({ asked: ['all'], length: 3 });
  });

  it('in a wrong form refuse the file', () => {
    const wrong = mockImages().delegate({ name: 'edt', ...ANY });
    wrong.edit('targets', (all) => {
      const { keys, roles } = all.delegations as { keys: object; roles: object[] };
      return { ...all, delegations: { keys, roles: [{ ...roles[0], hardwareIds: 'EDT-HW-1' }] } };
    });
    expect(search(wrong, 'x.bin', 'EDT-HW-1').outcome).toMatchObject({ code: 'MALFORMED' });
  });
});

describe('a role name', () => {
  const named = (name: string) => {
    const images = mockImages().delegate({ name: 'a', ...ANY }, { 'x.bin': image(7) });
    return images.edit('targets', (all) => {
      const { keys, roles } = all.delegations as { keys: object; roles: object[] };
      return { ...all, delegations: { keys, roles: [{ ...roles[0], name }] } };
    });
  };

  it.each([
    ['a'.repeat(229)],
    ['\u00fc'.repeat(38)],
    ['..'],
    ['con'],
    ['a/b\\c:d*e'],
    ['1.root'],
    ['\u202eevil'],
    ['\u0000'],
    [' '],
  ])('%j is one that a file can have', (name) => {
    // It is asked for, under a name without a folder; nobody has this file.
    const { asked, outcome } = search(named(name), 'x.bin');
    expect(asked).toEqual([]);
    expect(outcome).toMatchObject({ code: 'MISSING_METADATA', where: expect.any(String) });
    expect(fileOf(name)).toMatch(/^[A-Za-z0-9._~%-]{1,229}\.json$/);
  });

  it.each([
    ['a'.repeat(230)],
    ['a'.repeat(300)],
    ['\u00fc'.repeat(39)],
    ['\u{1f697}'.repeat(20)],
    ['/'.repeat(100)],
    [''],
  ])('%j is one that no file can have: malformed, and not asked for', (name) => {
    expect(search(named(name), 'x.bin')).toMatchObject({
      asked: [],
      outcome: { code: 'MALFORMED', where: 'delegations' },
    });
    // Images that do not need it are found.
    expect(search(named(name), 'app.bin').length).toBe(1);
  });
});

describe('several roles together (5.4.4.9)', () => {
  function three(
    minRolesInAgreement: number,
    lengths: readonly [number, number, number],
    options: { terminating?: boolean } = {},
  ): MockRepository {
    const [a, b, c] = lengths.map((length) => ({ 'x.bin': release(length) }));
    return mockImages()
      .delegateToSeveral(
        { name: 'suppliers', minRolesInAgreement, ...options, ...ANY },
        { a: a!, b: b!, c: c! },
      )
      .delegate({ name: 'later', ...ANY }, { 'x.bin': release(99) });
  }

  it('speak when enough of them say the same', () => {
    expect(search(three(2, [5, 5, 6]), 'x.bin')).toMatchObject({
      asked: ['a', 'b', 'c'],
      length: 5,
    });
    expect(search(three(2, [6, 5, 5]), 'x.bin').length).toBe(5);
    expect(search(three(3, [5, 5, 5]), 'x.bin').length).toBe(5);
  });

  it('are passed over when too few do, unless they are the last word', () => {
    expect(search(three(3, [5, 5, 6]), 'x.bin').length).toBe(99);
    expect(search(three(2, [4, 5, 6]), 'x.bin').length).toBe(99);
    expect(search(three(2, [4, 5, 6], { terminating: true }), 'x.bin').length).toBeUndefined();
  });

  it('in conflict: the set with the earliest role is taken', () => {
    expect(search(three(1, [4, 5, 5]), 'x.bin').length).toBe(4);
  });

  it('must agree on what must match, and may differ in their notes', () => {
    const images = (custom: object) =>
      mockImages().delegateToSeveral(
        { name: 'suppliers', minRolesInAgreement: 2, ...ANY },
        { a: { 'x.bin': release(5) }, b: { 'x.bin': release(5, custom) } },
      );
    expect(search(images({ notes: 'another text' }), 'x.bin').length).toBe(5);
    expect(search(images({ releaseCounter: 3 }), 'x.bin').length).toBeUndefined();
    expect(search(images({ hardwareIds: ['INV-HW-1'] }), 'x.bin').length).toBeUndefined();
  });

  it('do without one whose file is broken, when the others are enough', () => {
    expect(search(three(2, [5, 5, 5]).omit('1.b.json'), 'x.bin').length).toBe(5);
    expect(search(three(3, [5, 5, 5]).omit('1.b.json'), 'x.bin').outcome).toMatchObject({
      code: 'MISSING_METADATA',
      where: 'b',
    });
  });

  it('each need their own signature', () => {
    const images = three(2, [4, 5, 6]);
    images.writeDelegated('c', images.signers('b'), { 'x.bin': release(5) });
    expect(search(images, 'x.bin').outcome).toMatchObject({
      code: 'ARBITRARY_SOFTWARE',
      where: 'c',
    });
  });

  it('may share a role below them: it is asked for each of them', () => {
    const images = mockImages().delegateToSeveral(
      { name: 'suppliers', minRolesInAgreement: 2, ...ANY },
      { a: {}, b: {} },
    );
    images.delegate({ name: 'sub', ...ANY }, {}, 'a').delegate({ name: 'sub', ...ANY }, {}, 'b');
    images.writeDelegated('sub', images.signers('sub'), { 'x.bin': release(5) });
    expect(search(images, 'x.bin')).toMatchObject({ asked: ['a', 'sub', 'b'], length: 5 });
  });

  /** The delegation to several roles, changed by one who may sign the top-level Targets. */
  function withRoles(
    images: MockRepository,
    change: (roles: readonly NamedRole[]) => readonly NamedRole[],
  ): MockRepository {
    return images.edit('targets', (all) => {
      const { keys, roles } = all.delegations as { keys: object; roles: { roles: NamedRole[] }[] };
      const [several, ...rest] = roles;
      const changed = { ...several, roles: change(several!.roles) };
      return { ...all, delegations: { keys, roles: [changed, ...rest] } };
    });
  }

  const two = (minRolesInAgreement = 2) =>
    mockImages().delegateToSeveral(
      { name: 'suppliers', minRolesInAgreement, ...ANY },
      { a: { 'x.bin': release(5) }, b: { 'x.bin': release(5) } },
    );

  it('count once where one role is named twice', () => {
    const twice = withRoles(two(), ([a]) => [a!, a!]);
    expect(search(twice, 'x.bin').outcome).toEqual({ ok: true, value: undefined });
    // With another key, too: it is the same file.
    const images = two();
    images.writeDelegated('a', [...images.signers('a'), ...images.signers('b')], {
      'x.bin': release(5),
    });
    const keys = withRoles(images, ([a, b]) => [a!, { ...a!, keyids: b!.keyids }]);
    expect(search(keys, 'x.bin').outcome).toEqual({ ok: true, value: undefined });
  });

  it('count once where one key signs for two of them', () => {
    const images = two();
    images.writeDelegated('b', images.signers('a'), { 'x.bin': release(5) });
    const shared = withRoles(images, ([a, b]) => [a!, { ...b!, keyids: a!.keyids }]);
    expect(search(shared, 'x.bin').outcome).toEqual({ ok: true, value: undefined });
    // Beside a third role it is one of two.
    const three = two().delegateToSeveral(
      { name: 'more', minRolesInAgreement: 2, ...ANY },
      { c: { 'x.bin': release(6) }, d: { 'x.bin': release(6) } },
    );
    three.writeDelegated('b', three.signers('a'), { 'x.bin': release(5) });
    withRoles(three, ([a, b]) => [a!, { ...b!, keyids: a!.keyids }]);
    expect(search(three, 'x.bin').length).toBe(6);
  });

  it('may share a key, as long as each of them has one of its own that has signed', () => {
    const build = (signed: readonly (readonly ('a' | 'b')[])[]) => {
      const images = two();
      const keys = { a: images.signers('a'), b: images.signers('b') };
      for (const [index, name] of (['a', 'b'] as const).entries()) {
        const signers = signed[index]!.flatMap((each) => keys[each]);
        images.writeDelegated(name, signers, { 'x.bin': release(5) });
      }
      const all = [...keys.a, ...keys.b].map(({ keyId }) => keyId);
      return withRoles(images, (roles) => roles.map((role) => ({ ...role, keyids: all })));
    };
    expect(search(build([['a'], ['b']]), 'x.bin').length).toBe(5);
    expect(search(build([['a', 'b'], ['a']]), 'x.bin').length).toBe(5);
    expect(search(build([['a'], ['a', 'b']]), 'x.bin').length).toBe(5);
    expect(search(build([['b'], ['b']]), 'x.bin').length).toBeUndefined();
  });

  it('may not be top-level roles', () => {
    const images = mockImages().delegateToSeveral(
      { name: 'suppliers', minRolesInAgreement: 1, ...ANY },
      { a: { 'x.bin': release(5) } },
    );
    images.edit('targets', (all) => {
      const { keys, roles } = all.delegations as { keys: object; roles: { roles: object[] }[] };
      const [suppliers] = roles;
      const root = { ...suppliers!.roles[0], name: 'root' };
      return { ...all, delegations: { keys, roles: [{ ...suppliers, roles: [root] }] } };
    });
    expect(search(images, 'x.bin').outcome).toMatchObject({ code: 'MALFORMED', where: 'targets' });
  });

  it('may delegate further', () => {
    const images = mockImages()
      .delegateToSeveral(
        { name: 'suppliers', minRolesInAgreement: 2, ...ANY },
        { a: {}, b: { 'x.bin': release(5) } },
      )
      .delegate({ name: 'sub', ...ANY }, { 'x.bin': release(5) }, 'a');
    expect(search(images, 'x.bin')).toMatchObject({ asked: ['a', 'sub', 'b'], length: 5 });
  });
});
