// The metadata that travels over the bus: what the Primary packs, what an ECU takes, and what it does not.

import { describe, expect, it } from 'vitest';
import { decodeBundle, encodeBundle, type MetadataBundle } from '../../../src/trust/bundle.ts';
import { versionsOf } from '../../../src/trust/repository.ts';
import {
  MOCK_NOW_MS,
  type MockRepositories,
  mockRepositories,
  mockSigner,
} from '../../support/mock-repositories.ts';
import { anchors, BOTH, check, EDT, pack, vehicle } from './bundle-support.ts';
import { DAY_MS, must } from './support.ts';

function names(bundle: MetadataBundle): string[] {
  return [
    ...[...bundle.director.keys()].map((name) => `director ${name}`),
    ...[...bundle.images.keys()].map((name) => `images ${name}`),
  ].sort();
}

describe('a bundle', () => {
  it('comes out as it went in, byte for byte', () => {
    const text = new TextEncoder().encode('{"a":"\\"\u00e9\\u0301\u{1f697}",  "b":1}\n');
    const bundle: MetadataBundle = {
      time: { signed: { t: 1 }, signatures: [] },
      director: new Map([['2.root.json', text]]),
      images: new Map([['..%2Fa.json', text]]),
    };
    expect(decodeBundle(encodeBundle(bundle))).toEqual({ ok: true, value: bundle });
  });

  it.each([
    ['nothing', ''],
    ['an array', '[]'],
    ['another format', '{"format":"x","time":null,"director":{},"images":{}}'],
    [
      'a field too many',
      '{"format":"can-ota-metadata-1","time":null,"director":{},"images":{},"x":1}',
    ],
    [
      'a file twice',
      '{"format":"can-ota-metadata-1","time":null,"director":{"a.json":"1","a.json":"2"},"images":{}}',
    ],
    [
      'a name with a folder',
      '{"format":"can-ota-metadata-1","time":null,"director":{"../a.json":"1"},"images":{}}',
    ],
    ['no text', '{"format":"can-ota-metadata-1","time":null,"director":{"a.json":1},"images":{}}'],
  ])('that is %s is refused', (_, text) => {
    expect(decodeBundle(new TextEncoder().encode(text))).toMatchObject({
      code: 'MALFORMED',
      where: 'metadata bundle',
    });
  });

  it('that is too long is not even read', () => {
    expect(decodeBundle(new Uint8Array(101), 100)).toMatchObject({ code: 'ENDLESS_DATA' });
    expect(decodeBundle(new Uint8Array(262_145))).toMatchObject({ code: 'ENDLESS_DATA' });
  });
});

describe('the Primary packs', () => {
  it('the Targets of the Director for partial verification, and everything for a full one', () => {
    const mock = vehicle();
    expect(names(pack(mock, anchors(mock), 'partial'))).toEqual(['director targets.json']);
    expect(names(pack(mock, anchors(mock), 'full'))).toEqual([
      'director snapshot.json',
      'director targets.json',
      'director timestamp.json',
      'images snapshot.json',
      'images targets.json',
      'images timestamp.json',
    ]);
  });

  it('every Root that the ECU has not seen', () => {
    const mock = vehicle();
    const ecu = anchors(mock);
    mock.director.rotate('targets').rotate('root');
    mock.images.rotate('root');
    expect(names(pack(mock, ecu, 'partial'))).toEqual([
      'director 2.root.json',
      'director 3.root.json',
      'director targets.json',
    ]);
    expect(names(pack(mock, ecu, 'full'))).toContain('images 2.root.json');
  });

  it('next to nothing for an ECU that knows all', () => {
    const mock = vehicle();
    const ecu = must(check(anchors(mock), 'full', pack(mock, anchors(mock), 'full'))).trust;
    const again = pack(mock, ecu, 'full');
    expect(names(again)).toEqual(['director targets.json']);
    expect(must(check(ecu, 'full', again)).target?.ecu).toBe('EDT');
  });

  it('what the ECU will drop with the keys of an old Root, although it has that version', () => {
    const mock = vehicle();
    const ecu = must(check(anchors(mock), 'full', pack(mock, anchors(mock), 'full'))).trust;
    mock.images.rotate('timestamp').setVersion('timestamp', 1).setVersion('snapshot', 1);
    const bundle = pack(mock, ecu, 'full');
    expect(names(bundle)).toContain('images timestamp.json');
    expect(names(bundle)).toContain('images snapshot.json');
    expect(must(check(ecu, 'full', bundle)).target?.ecu).toBe('EDT');
  });

  it('the delegated roles that lead to the image of this ECU', () => {
    const mock = mockRepositories();
    const [edt, inv] = [mock.release('EDT'), mock.release('INV')];
    mock.images.removeTarget(edt.name).removeTarget(inv.name);
    mock.images
      .delegate({ name: 'inverters', paths: ['INV-*'] }, { [inv.name]: inv.target })
      .delegate({ name: 'turbines', paths: ['EDT-*'] }, {})
      .delegate(
        { name: 'turbines-two', paths: ['EDT-2*'] },
        { [edt.name]: edt.target },
        'turbines',
      );
    mock.assign(EDT.serial, edt).assign('CO-000002', inv);
    const bundle = pack(mock, anchors(mock), 'full');
    expect([...bundle.images.keys()].sort()).toEqual([
      'snapshot.json',
      'targets.json',
      'timestamp.json',
      'turbines-two.json',
      'turbines.json',
    ]);
    expect(must(check(anchors(mock), 'full', bundle)).target?.name).toBe(edt.name);
    const without = new Map(bundle.images);
    without.delete('turbines-two.json');
    expect(check(anchors(mock), 'full', { ...bundle, images: without })).toMatchObject({
      where: 'images turbines-two',
      code: 'MISSING_METADATA',
    });
  });
});

describe.each(BOTH)('an ECU with %s verification', (verification) => {
  it('takes what is for it, and keeps what it has learnt', () => {
    const mock = vehicle();
    const verdict = must(
      check(anchors(mock), verification, pack(mock, anchors(mock), verification)),
    );
    expect(verdict.target).toMatchObject({ serial: EDT.serial, ecu: 'EDT', releaseCounter: 2 });
    expect(versionsOf(verdict.trust.director)).toMatchObject({ root: 1, targets: 1 });
  });

  it('says when there is nothing for it', () => {
    const mock = vehicle();
    const bundle = pack(mock, anchors(mock), verification);
    const ecu = { serial: 'CO-000777', hardwareId: 'EDT-HW-1' };
    expect(must(check(anchors(mock), verification, bundle, { ecu })).target).toBeUndefined();
  });

  it('follows new Roots after a long time', () => {
    const mock = vehicle();
    const ecu = must(check(anchors(mock), verification, pack(mock, anchors(mock), verification)));
    mock.skip(60 * DAY_MS);
    mock.director.rotate('targets', 'snapshot', 'timestamp').rotate('root');
    mock.images.rotate('targets', 'snapshot', 'timestamp');
    const nowMs = MOCK_NOW_MS + 60 * DAY_MS;
    const bundle = pack(mock, ecu.trust, verification, nowMs);
    const verdict = must(check(ecu.trust, verification, bundle, { nowMs }));
    expect(versionsOf(verdict.trust.director).root).toBe(3);
  });

  it.each([
    ['for another vehicle', { vin: 'WCANOTA0000000002' }, 'WRONG_VEHICLE'],
    ['for other hardware', { ecu: { ...EDT, hardwareId: 'EDT-HW-2' } }, 'WRONG_HARDWARE'],
    ['for an ECU of another name', { ecu: { ...EDT, name: 'BMS' } }, 'WRONG_ECU'],
    ['older than what it has accepted', { ecu: { ...EDT, releaseCounter: 3 } }, 'ROLLBACK'],
    ['expired', { nowMs: MOCK_NOW_MS + 40 * DAY_MS }, 'FREEZE'],
  ])('refuses what is %s', (_, options, code) => {
    const mock = vehicle();
    const bundle = pack(mock, anchors(mock), verification);
    expect(check(anchors(mock), verification, bundle, options)).toMatchObject({
      ok: false,
      code,
      where: expect.stringMatching(/^director /),
    });
  });

  it('refuses a bundle without any one of its files', () => {
    const mock = vehicle();
    const ecu = anchors(mock);
    mock.director.rotate('targets', 'timestamp');
    mock.images.rotate('targets', 'timestamp');
    const whole = pack(mock, ecu, verification);
    expect(check(ecu, verification, whole).ok).toBe(true);
    for (const repository of ['director', 'images'] as const) {
      for (const name of whole[repository].keys()) {
        const files = new Map(whole[repository]);
        files.delete(name);
        const verdict = check(ecu, verification, { ...whole, [repository]: files });
        expect(verdict.ok, `${repository} ${name}`).toBe(false);
      }
    }
  });

  it('does not go back to an older bundle', () => {
    const mock = vehicle();
    const old = pack(mock, anchors(mock), verification);
    mock.director.publish();
    const fresh = pack(mock, anchors(mock), verification);
    const { trust } = must(check(anchors(mock), verification, fresh));
    expect(check(trust, verification, old)).toMatchObject({ code: 'ROLLBACK' });
  });
});

describe('new keys of the Director, for an ECU with partial verification', () => {
  const bundleOf = (mock: MockRepositories, targets = mock.director.file('targets.json')) => {
    const roots = [...mock.director.roots()].slice(1);
    const files = roots.map(([version, bytes]): [string, Uint8Array] => [
      `${version}.root.json`,
      bytes,
    ]);
    return {
      time: null,
      director: new Map([...files, ['targets.json', targets]]),
      images: new Map<string, Uint8Array>(),
    };
  };

  it('of Targets: the version may begin again', () => {
    const mock = vehicle();
    mock.director.setVersion('targets', 1_000_000);
    const { trust } = must(check(anchors(mock), 'partial', bundleOf(mock)));
    mock.director.publish().setVersion('targets', 2);
    expect(check(trust, 'partial', bundleOf(mock))).toMatchObject({ code: 'ROLLBACK' });
    mock.director.rotate('targets');
    expect(versionsOf(must(check(trust, 'partial', bundleOf(mock))).trust.director)).toEqual({
      root: 2,
      targets: 3,
    });
  });

  it.each([
    ['both keys had signed', [0, 1]],
    ['the key that is gone had signed alone', [0]],
    ['the key that stays had signed alone', [1]],
  ])('one of two of Targets is taken away: the floor stays where %s', (_, signing) => {
    const mock = vehicle();
    const { director } = mock;
    const keys = [...director.signers('targets'), mockSigner('second')];
    director.setKeys('targets', keys);
    const old = director.file('targets.json');
    director.publish().signWith(
      'targets',
      signing.map((index) => keys[index]!),
    );
    const { trust } = must(check(anchors(mock), 'partial', bundleOf(mock)));
    director.setKeys('targets', keys.slice(1)).signWith('targets', keys.slice(1));
    expect(check(trust, 'partial', bundleOf(mock, old))).toMatchObject({
      where: 'director targets',
      code: 'ROLLBACK',
    });
    expect(check(trust, 'partial', bundleOf(mock)).ok).toBe(true);
  });

  it.each([
    ['the threshold falls with the number of keys', 2, [1], 1],
    ['keys are added', 1, [0, 1, 2], 1],
    ['the threshold rises, and the old keys are enough', 1, [0, 1], 2],
  ])('of Targets where %s: the floor stays', (_, threshold, left, next) => {
    const mock = vehicle();
    const { director } = mock;
    const keys = ['first', 'second', 'third'].map((name) => mockSigner(name));
    director.setKeys('targets', keys.slice(0, 2), threshold);
    const old = director.file('targets.json');
    director.publish();
    const { trust } = must(check(anchors(mock), 'partial', bundleOf(mock)));
    director.setKeys(
      'targets',
      left.map((index) => keys[index]!),
      next,
    );
    expect(check(trust, 'partial', bundleOf(mock, old))).toMatchObject({ code: 'ROLLBACK' });
    expect(check(trust, 'partial', bundleOf(mock)).ok).toBe(true);
  });

  it('of Targets: a release counter that the stolen key has run up is no floor', () => {
    const mock = vehicle();
    const { trust } = must(check(anchors(mock), 'partial', bundleOf(mock)));
    const highest = mock.release('EDT', { version: '6.6.6', releaseCounter: 2 ** 53 - 1 });
    const right = mock.release('EDT').name;
    mock.director.removeTarget(right);
    mock.assign(EDT.serial, highest);
    const stolen = must(check(trust, 'partial', bundleOf(mock))).trust;
    mock.director.removeTarget(highest.name);
    mock.assign(EDT.serial, mock.release('EDT', { version: '3.0.0', releaseCounter: 3 }));
    expect(check(stolen, 'partial', bundleOf(mock))).toMatchObject({ code: 'ROLLBACK' });
    mock.director.rotate('targets');
    const { target } = must(check(stolen, 'partial', bundleOf(mock)));
    expect(target).toMatchObject({ version: '3.0.0' });
  });

  it('of Snapshot: nothing that this ECU relies on, so the floor stays', () => {
    const mock = vehicle();
    const old = mock.director.file('targets.json');
    mock.director.publish();
    const { trust } = must(check(anchors(mock), 'partial', bundleOf(mock)));
    mock.director.rotate('snapshot');
    expect(check(trust, 'partial', bundleOf(mock, old))).toMatchObject({
      where: 'director targets',
      code: 'ROLLBACK',
    });
  });
});

describe('one compromised repository', () => {
  it('the Director alone gets past partial verification, not past a full one', () => {
    const mock = vehicle();
    const release = mock.release('EDT', { version: '6.6.6', releaseCounter: 6 });
    mock.images.removeTarget(release.name);
    mock.director.removeTarget(mock.release('EDT').name);
    mock.assign(EDT.serial, release);
    const director = mock.files('director');
    const images = mock.files('images');
    const bundle = { time: null, director, images };
    expect(check(anchors(mock), 'partial', bundle).ok).toBe(true);
    expect(check(anchors(mock), 'full', bundle)).toMatchObject({
      where: 'images targets',
      code: 'UNKNOWN_TARGET',
    });
  });

  it('an ECU that runs the image already still hears the image repository', () => {
    const mock = vehicle();
    const bundle = pack(mock, anchors(mock), 'full');
    const { target } = must(check(anchors(mock), 'full', bundle));
    const ecu = { ...EDT, installedSha256: target!.sha256 };
    const verdict = check(anchors(mock), 'full', { ...bundle, images: new Map() }, { ecu });
    expect(verdict).toMatchObject({ where: 'images timestamp', code: 'MISSING_METADATA' });
  });

  it('mixed bundles are refused', () => {
    const mock = vehicle();
    const one = pack(mock, anchors(mock), 'full');
    mock.images.publish();
    const two = pack(mock, anchors(mock), 'full');
    const mixed = new Map([...two.images, ['snapshot.json', one.images.get('snapshot.json')!]]);
    expect(check(anchors(mock), 'full', { ...two, images: mixed })).toMatchObject({
      where: 'images snapshot',
      code: 'MIX_AND_MATCH',
    });
  });

  it('full verification needs an anchor of the image repository', () => {
    const mock = vehicle();
    const { director } = anchors(mock);
    const bundle = pack(mock, anchors(mock), 'full');
    expect(check({ director }, 'full', bundle)).toMatchObject({
      where: 'images root',
      code: 'MISSING_METADATA',
    });
    expect(check({ director }, 'partial', bundle).ok).toBe(true);
  });
});
