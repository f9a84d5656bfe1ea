// `can-ota verify`: what it finds, what it refuses under which name, what it keeps, and how it says so.

import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { lockFolder } from '../../src/core/lock.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { decodeBundle } from '../../src/trust/bundle.ts';
import { verifyBundle } from '../../src/trust/partial-verification.ts';
import { trustRoot } from '../../src/trust/repository.ts';
import type { MockRepository } from '../support/mock-repositories.ts';
import { MOCK_NOW_MS, MOCK_VIN, mockRepositories } from '../support/mock-repositories.ts';
import {
  anchorsOf,
  cli,
  ECU,
  HARDWARE,
  mockFolder,
  SERIAL,
  serve,
  serveMock,
  sourcesOf,
  TIME,
  temporaryFolder,
  verifyMock,
  verifyPlace,
  writeFiles,
} from './verify-support.ts';

const DAY_MS = 86_400_000;

/** One release, which the Director gives to the ECU of these tests. */
function mockWithOrder() {
  const mock = mockRepositories();
  const release = mock.release('EDT');
  mock.assign(SERIAL, release);
  return { mock, release };
}

describe('the command', () => {
  it('verifies repositories over HTTP and says so in one line of JSON', async () => {
    const { mock, release } = mockWithOrder();
    const url = await serveMock(mock);
    const state = await temporaryFolder();
    const anchors = await temporaryFolder();
    await writeFiles(
      anchors,
      new Map([
        ['d.json', mock.director.anchor],
        ['i.json', mock.images.anchor],
      ]),
    );
    const run = await cli(
      ...['--director', `${url}/director`, '--images', `${url}/images/`],
      ...[...ECU, ...TIME, '--state', state, '--vin', MOCK_VIN, '--json'],
      ...['--director-root', path.join(anchors, 'd.json')],
      ...['--images-root', path.join(anchors, 'i.json')],
    );
    expect(run.stderr).toBe('');
    expect(run.code).toBe(0);
    const { sha256 } = release.target.hashes;
    expect(run.json).toEqual({
      ok: true,
      profile: 'strict',
      time: new Date(MOCK_NOW_MS).toISOString(),
      clock: 'option',
      director: { root: 1, timestamp: 1, snapshot: 1, targets: 1 },
      images: { root: 1, timestamp: 1, snapshot: 1, targets: 1 },
      target: {
        ...{ serial: SERIAL, hardwareId: HARDWARE, name: release.name, ecu: 'EDT' },
        ...{ length: release.image.length, hashes: { sha256 }, sha256, version: '2.0.0' },
        ...{ releaseCounter: 2, dependencies: {}, encrypt: false, notes: '' },
      },
    });
  });

  it('shows people a table and the verdict, and warns of a first use on standard error', async () => {
    const { mock, release } = mockWithOrder();
    const folder = await mockFolder(mock);
    const run = await cli(
      ...['--director', folder, '--images', folder, ...ECU, ...TIME],
      ...['--state', path.join(folder, 'state')],
    );
    expect(run.code).toBe(0);
    expect(run.stdout.split('\n')).toEqual([
      'director (trusted on first use)',
      '  root         version 1      expires in 365 days',
      '  timestamp    version 1      expires in 24 hours',
      '  snapshot     version 1      expires in 30 days',
      '  targets      version 1      expires in 30 days',
      'images (trusted on first use)',
      '  root         version 1      expires in 365 days',
      '  timestamp    version 1      expires in 24 hours',
      '  snapshot     version 1      expires in 30 days',
      '  targets      version 1      expires in 30 days',
      expect.stringMatching(
        new RegExp(
          `^verified: ECU ${SERIAL} \\(${HARDWARE}\\) gets ${release.name}: version 2.0.0`,
        ),
      ),
      '',
    ]);
    expect(run.stderr.match(/TRUST ON FIRST USE/g)).toHaveLength(2);
    expect(run.stderr).toContain('name one with --director-root');
  });

  it('refuses with 1 and the name of the attack; the reason is on standard error', async () => {
    const { mock } = mockWithOrder();
    mock.director.foreignKeys('targets');
    const folder = await mockFolder(mock);
    const args = [
      ...['--director', folder, '--images', folder, ...ECU, ...TIME],
      ...['--state', path.join(folder, 'state')],
    ];
    const run = await cli(...args, '--json');
    expect(run.code).toBe(1);
    expect(run.json).toMatchObject({
      ...{ ok: false, attack: 'ARBITRARY_SOFTWARE', where: 'director targets' },
      reason: expect.stringContaining('right signatures of 0'),
      director: { root: 1, timestamp: 1, snapshot: 1 },
      images: { root: 1 },
      trustedOnFirstUse: ['director', 'images'],
    });
    const human = await cli(...args);
    expect(human.code).toBe(1);
    expect(human.stdout).not.toContain('verified');
    expect(human.stderr).toContain('can-ota: refused: director targets: ARBITRARY_SOFTWARE: ');
    // Both have their Root now.
    expect(human.stderr).not.toContain('FIRST USE');
  });

  it('takes the clock of the machine unless told otherwise', async () => {
    const { mock } = mockWithOrder();
    mock.director.expireAt('root', Date.UTC(2020, 0, 1));
    const folder = await mockFolder(mock);
    const run = await cli(
      ...['--director', folder, '--images', folder, ...ECU, '--json'],
      ...['--state', path.join(folder, 'state')],
    );
    expect(run.code).toBe(1);
    expect(run.json).toMatchObject({ attack: 'FREEZE', clock: 'machine' });
    expect(Math.abs(Date.parse(String(run.json.time)) - Date.now())).toBeLessThan(60_000);
  });

  it('compares the vehicle, and knows all ECUs only when told so', async () => {
    const { mock } = mockWithOrder();
    mock.assign('CO-000009', mock.release('INV'));
    const folder = await mockFolder(mock);
    const args = [
      ...['--director', folder, '--images', folder, ...ECU, ...TIME, '--json'],
      ...['--state', path.join(folder, 'state')],
    ];
    expect((await cli(...args, '--vin', MOCK_VIN)).code).toBe(0);
    expect((await cli(...args, '--vin', 'ANOTHER')).json).toMatchObject({
      attack: 'WRONG_VEHICLE',
    });
    expect((await cli(...args, '--primary')).json).toMatchObject({ attack: 'UNKNOWN_ECU' });
  });

  it('leaves a state alone that another process works on', async () => {
    const state = await temporaryFolder();
    const lock = await lockFolder(state);
    const run = await cli('--director', '.', '--images', '.', ...ECU, '--state', state, '--json');
    await lock.release();
    expect(run.json).toMatchObject({ ok: false, attack: null, error: 'FOLDER_BUSY' });
    expect(run.code).toBe(1);
    expect(await readdir(state)).toEqual([]);
  });

  it('tells what cannot be asked from what is refused', async () => {
    const url = await serve((_, response) => response.writeHead(500).end());
    const state = await temporaryFolder();
    const run = await cli(
      ...['--director', url, '--images', url, ...ECU, '--state', state, '--json'],
    );
    expect(run.code).toBe(1);
    expect(run.json).toMatchObject({ ok: false, attack: null, error: 'HTTP' });
    expect(run.stderr).toContain('could not verify');
    expect(run.stderr).toContain('status 500');
  });

  it.each([
    ['a folder that is not there', ['--director', '/nowhere'], '--director: /nowhere does not'],
    ['an unknown profile', ['--profile', 'tuf'], 'Allowed choices are strict, aktualizr'],
    ['a time that is none', ['--time', 'yesterday'], 'expected a time like'],
    ['a time without a zone', ['--time', '2026-09-01T12:00'], 'expected a time like'],
    ['a counter that is none', ['--counter', '-1'], 'expected a whole number'],
    ['an ECU without hardware', ['--ecu', 'CO-000003'], '--hardware: one for each --ecu'],
    ['a Root that is not there', ['--images-root', '/nowhere'], '--images-root: /nowhere does not'],
    ['a bundle of the other dialect', ['--profile', 'aktualizr', '--save', 'x'], '--save: '],
    ['an ECU twice', ['--ecu', SERIAL, '--hardware', HARDWARE], `--ecu: ${SERIAL} is named twice`],
    [
      'a counter for two ECUs',
      ['--ecu', 'B', '--hardware', 'B', '--counter', '3'],
      '--counter: is of one ECU',
    ],
  ])('ends with 2 for %s, and touches nothing', async (_, wrong, text) => {
    const folder = await temporaryFolder();
    const state = path.join(folder, 'state');
    const run = await cli(
      ...['--director', folder, '--images', folder, ...ECU, '--state', state, ...wrong],
    );
    expect(run.stderr).toContain(text);
    expect(run.stdout).toBe('');
    expect(run.code).toBe(2);
    await expect(readdir(state)).rejects.toThrow();
  });

  it('ends with 2 when an option is missing', async () => {
    const run = await cli('--director', '.', ...ECU, '--state', '.');
    expect(run.code).toBe(2);
    expect(run.stderr).toContain('--images');
  });
});

describe('what is refused', () => {
  type Files = ReadonlyMap<string, Uint8Array>;
  /** `first`: what the Director had said at first. */
  type Lie = (director: MockRepository, images: MockRepository, first: Files) => unknown;

  it.each<[string, string, Lie]>([
    ['ARBITRARY_SOFTWARE', 'images targets', (_, i) => i.tooFewSignatures('targets')],
    ['ARBITRARY_SOFTWARE', 'director root', (d) => d.foreignKeys('root')],
    ['ROLLBACK', 'images timestamp', (_, i) => i.replay(0)],
    ['ROLLBACK', 'director timestamp', (d) => d.replay(0)],
    ['FREEZE', 'director snapshot', (d) => d.expire('snapshot')],
    ['FREEZE', 'images targets', (_, i) => i.expire('targets')],
    [
      'MIX_AND_MATCH',
      'director targets',
      (d, _, first) => d.replace('3.targets.json', first.get('targets.json')!),
    ],
    ['ENDLESS_DATA', 'director timestamp', (d) => d.endless('timestamp.json')],
    ['SLOW_RETRIEVAL', 'images timestamp', (_, i) => i.slow('timestamp.json')],
    ['MALFORMED', 'director timestamp', (d) => d.duplicateJsonKey('timestamp')],
    ['MISSING_METADATA', 'images timestamp', (_, i) => i.omit('timestamp.json')],
    ['KEY_CONFUSION', 'director root', (d) => d.oneKeyUnderTwoIds('targets')],
    ['UNKNOWN_TARGET', 'images targets', (_, i) => i.clearTargets()],
    ['DELEGATION_IN_DIRECTOR', 'director targets', (d) => d.delegate({ name: 'x', paths: ['*'] })],
    ['WRONG_VEHICLE', 'director targets', (d) => d.setCustom({ vin: 'ANOTHER' })],
    ['WRONG_VEHICLE', 'director targets', (d) => d.setCustom(undefined)],
  ])('%s in %s', async (attack, where, lie) => {
    const { mock } = mockWithOrder();
    const state = await temporaryFolder();
    const first = mock.director.files();
    for (const round of [1, 2]) {
      expect(
        (await verifyMock(mock, { state })).trust.images?.targets.get('targets')?.version,
      ).toBe(round);
      // Something is new, so that both are asked for everything.
      mock.director.publish();
      mock.images.publish();
    }
    lie(mock.director, mock.images, first);
    const { outcome } = await verifyMock(mock, { state });
    expect(outcome).toMatchObject({ ok: false, code: attack, where });
  });

  it('repositories that disagree about an image', async () => {
    const { mock, release } = mockWithOrder();
    mock.assign(SERIAL, release, { custom: { releaseCounter: 3 } });
    const { outcome } = await verifyMock(mock, { state: await temporaryFolder() });
    expect(outcome).toMatchObject({ code: 'REPOSITORIES_DISAGREE', where: 'images targets' });
  });

  it('an image for other hardware, and one that is older than the ECU knows', async () => {
    const { mock } = mockWithOrder();
    const state = await temporaryFolder();
    const other = { serial: SERIAL, hardwareId: 'EDT-HW-2' };
    expect((await verifyMock(mock, { state, ecus: [other] })).outcome).toMatchObject({
      code: 'WRONG_HARDWARE',
    });
    const newer = { serial: SERIAL, hardwareId: HARDWARE, releaseCounter: 3 };
    expect((await verifyMock(mock, { state, ecus: [newer] })).outcome).toMatchObject({
      code: 'ROLLBACK',
    });
    expect((await verifyMock(mock, { state })).outcome.ok).toBe(true);
  });

  it('one ECU with two images', async () => {
    const { mock } = mockWithOrder();
    mock.assign(SERIAL, mock.release('EDT', { version: '3.0.0' }));
    const { outcome } = await verifyMock(mock, { state: await temporaryFolder() });
    expect(outcome).toMatchObject({ code: 'DUPLICATE_ECU' });
  });

  it('an ECU that nobody has named, when all of the vehicle were', async () => {
    const { mock } = mockWithOrder();
    mock.assign('CO-000009', mock.release('INV'));
    const state = await temporaryFolder();
    expect((await verifyMock(mock, { state, primary: true })).outcome).toMatchObject({
      code: 'UNKNOWN_ECU',
    });
    const { outcome } = await verifyMock(mock, { state });
    expect(outcome).toMatchObject({ ok: true, value: [{ serial: SERIAL }] });
  });

  it('a server that sends without end, after no more bytes than a file may have', async () => {
    let sent = 0;
    const url = await serve((_, response) => {
      const more = (): void => {
        if (response.destroyed) return;
        sent += 65_536;
        response.write(Buffer.alloc(65_536, 0x20), more);
      };
      more();
    });
    const place = { director: url, images: url };
    const { outcome } = await verifyPlace(place, { state: await temporaryFolder() });
    expect(outcome).toMatchObject({ code: 'ENDLESS_DATA', where: 'director root' });
    expect(sent).toBeLessThan(16 * 2 ** 20);
  });

  it('a server that keeps silent', async () => {
    const { mock } = mockWithOrder();
    const silent = Promise.withResolvers<void>();
    const url = await serve((file, response) => {
      const bytes = mock.director.files().get(file);
      // The first byte of Timestamp, and nothing more.
      if (file === 'timestamp.json') response.write(bytes!.subarray(0, 1), () => silent.resolve());
      else if (bytes === undefined) response.writeHead(404).end();
      else response.end(bytes);
    });
    const clock = new VirtualClock();
    const verified = verifyPlace(
      { director: url, images: url },
      { state: await temporaryFolder(), source: { clock }, anchors: anchorsOf(mock) },
    );
    await silent.promise;
    const { outcome } = await clock.within(60_000, verified);
    expect(outcome).toMatchObject({ code: 'SLOW_RETRIEVAL', where: 'director timestamp' });
  });
});

describe('the state', () => {
  it('holds what was verified, under the names of a vehicle, and every Root', async () => {
    const { mock } = mockWithOrder();
    mock.director.rotate('timestamp');
    const state = await temporaryFolder();
    await verifyMock(mock, { state });
    const names = ['root', 'snapshot', 'targets', 'timestamp'].map((role) => `${role}.json`);
    expect((await readdir(path.join(state, 'images'))).sort()).toEqual(['1.root.json', ...names]);
    expect((await readdir(path.join(state, 'director'))).sort()).toEqual([
      ...['1.root.json', '2.root.json'],
      ...names,
    ]);
    for (const file of names) {
      expect(await readFile(path.join(state, 'director', file))).toEqual(
        Buffer.from(mock.director.file(file)),
      );
    }
  });

  it('asks for nothing twice', async () => {
    const { mock } = mockWithOrder();
    const state = await temporaryFolder();
    await verifyMock(mock, { state });
    const asked: string[] = [];
    const { director, images } = sourcesOf(mock);
    const listening = (name: string, source: typeof director): typeof director => ({
      answer: (request) => {
        asked.push(`${name} ${request.file}`);
        return source.answer(request);
      },
    });
    const sources = {
      director: listening('director', director),
      images: listening('images', images),
    };
    const { outcome } = await verifyMock(mock, { state, sources });
    expect(outcome.ok).toBe(true);
    expect(asked).toEqual([
      ...['director 2.root.json', 'director timestamp.json'],
      ...['images 2.root.json', 'images timestamp.json'],
    ]);
  });

  it('keeps what was right before something was wrong', async () => {
    const { mock } = mockWithOrder();
    const state = await temporaryFolder();
    mock.images.omit('1.targets.json');
    expect((await verifyMock(mock, { state })).outcome).toMatchObject({ code: 'MISSING_METADATA' });
    expect(await readdir(path.join(state, 'images'))).toContain('snapshot.json');
    expect(await readdir(path.join(state, 'director'))).toContain('targets.json');
  });

  it('does not forget a Root when a repository is put back to its first day', async () => {
    const { mock } = mockWithOrder();
    const state = await temporaryFolder();
    const first = mock.images.files();
    mock.images.rotate('timestamp', 'root');
    expect((await verifyMock(mock, { state })).outcome.ok).toBe(true);
    const replayed: typeof first = new Map(first);
    const sources = {
      ...sourcesOf(mock),
      images: {
        answer: async ({ file }: { file: string }) => {
          const bytes = replayed.get(file);
          return bytes === undefined
            ? ({ kind: 'missing' } as const)
            : { kind: 'bytes' as const, bytes };
        },
      },
    };
    const { outcome, warnings } = await verifyMock(mock, { state, sources });
    expect(outcome).toMatchObject({ code: 'ARBITRARY_SOFTWARE', where: 'images timestamp' });
    expect(warnings).toEqual([
      '--director-root is not used: the state trusts Root version 1 already',
      '--images-root is not used: the state trusts Root version 2 already',
    ]);
  });

  it('begins with the first Root of a repository, so that its rotations are checked', async () => {
    const { mock } = mockWithOrder();
    mock.director.rotate('targets').foreignKeys('root');
    const state = await temporaryFolder();
    const { outcome, trustedOnFirstUse, trust } = await verifyMock(mock, { state, anchors: {} });
    expect(outcome).toMatchObject({ code: 'ARBITRARY_SOFTWARE', where: 'director root' });
    expect(trustedOnFirstUse).toEqual(['director', 'images']);
    expect(trust.director?.root.version).toBe(2);
  });

  it('begins with the latest Root where no other is kept', async () => {
    const { mock } = mockWithOrder();
    mock.director.rotate('targets');
    mock.director.omit('1.root.json');
    const state = await temporaryFolder();
    const { outcome, trust } = await verifyMock(mock, { state, anchors: {} });
    expect(outcome.ok).toBe(true);
    expect(trust.director?.root.version).toBe(2);
  });

  it('has nothing to begin with where there is no Root', async () => {
    const { mock } = mockWithOrder();
    mock.images.omit('1.root.json').omit('root.json');
    const { outcome, trust } = await verifyMock(mock, {
      state: await temporaryFolder(),
      anchors: {},
    });
    expect(outcome).toMatchObject({ code: 'MISSING_METADATA', where: 'images root' });
    expect(trust.images).toBeUndefined();
  });

  it.each([
    ['an empty file', ''],
    ['half a file', '{"signatures":'],
    ['a Root that was changed', undefined],
  ])('refuses to begin anew when its Root is %s', async (_, text) => {
    const { mock } = mockWithOrder();
    const state = await temporaryFolder();
    await verifyMock(mock, { state });
    const file = path.join(state, 'director', 'root.json');
    const whole = await readFile(file, 'utf8');
    await writeFile(file, text ?? whole.replace('"threshold":2', '"threshold":1'));
    const { outcome, trustedOnFirstUse } = await verifyMock(mock, { state });
    expect(outcome).toMatchObject({ ok: false, where: 'director root' });
    expect(outcome.ok === false && outcome.reason).toContain('put the newest N.root.json there');
    expect(trustedOnFirstUse).toEqual([]);
  });

  it('asks anew for what else is damaged, and says so', async () => {
    const { mock } = mockWithOrder();
    const state = await temporaryFolder();
    await verifyMock(mock, { state });
    const file = path.join(state, 'images', 'targets.json');
    await writeFile(file, 'nothing of value');
    const { outcome, warnings } = await verifyMock(mock, { state, anchors: {} });
    expect(outcome.ok).toBe(true);
    expect(warnings).toEqual([
      expect.stringContaining('images/targets.json in the state is damaged'),
    ]);
    expect(await readFile(file)).toEqual(Buffer.from(mock.images.file('targets.json')));
  });

  it('gives up what the keys of a new Root have not signed', async () => {
    const { mock } = mockWithOrder();
    const state = await temporaryFolder();
    await verifyMock(mock, { state });
    mock.images.rotate('snapshot').omit('timestamp.json');
    expect((await verifyMock(mock, { state })).outcome).toMatchObject({ code: 'MISSING_METADATA' });
    const names = ['1.root.json', '2.root.json', 'root.json'];
    expect((await readdir(path.join(state, 'images'))).sort()).toEqual(names);
  });

  it('goes on with the newest Root when power was lost while the first was written', async () => {
    const { mock } = mockWithOrder();
    const state = await temporaryFolder();
    await verifyMock(mock, { state });
    await rm(path.join(state, 'director', 'root.json'));
    const { outcome, trustedOnFirstUse } = await verifyMock(mock, { state, anchors: {} });
    expect(outcome.ok).toBe(true);
    expect(trustedOnFirstUse).toEqual([]);
  });

  it('catches up after two months, over several Roots', async () => {
    const { mock } = mockWithOrder();
    const state = await temporaryFolder();
    await verifyMock(mock, { state });
    mock.skip(60 * DAY_MS);
    mock.director.rotate('timestamp').rotate('root').publish();
    mock.images.rotate('snapshot').publish();
    const nowMs = MOCK_NOW_MS + 60 * DAY_MS;
    const { outcome, trust } = await verifyMock(mock, { state, nowMs });
    expect(outcome).toMatchObject({ ok: true, value: [{ serial: SERIAL }] });
    expect(trust.director?.root.version).toBe(3);
  });
});

describe('folders', () => {
  it.each([
    ['named directly', '', ''],
    ['with metadata below', 'd/metadata', 'i/metadata'],
  ])('%s', async (_, director, images) => {
    const { mock } = mockWithOrder();
    const folder = await temporaryFolder();
    const top = (part: string, otherwise: string) =>
      path.join(folder, part.split('/')[0] || otherwise);
    await writeFiles(path.join(folder, director || 'x'), mock.director.files());
    await writeFiles(path.join(folder, images || 'y'), mock.images.files());
    const place = { director: top(director, 'x'), images: top(images, 'y') };
    const state = path.join(folder, 'state');
    expect((await verifyPlace(place, { state })).outcome.ok).toBe(true);
  });

  it.each([
    ['director', 'images'],
    ['director/metadata', 'images/metadata'],
    ['metadata/director', 'metadata/repo'],
    ['repo/director', 'repo/repo'],
    ['director', 'image_repo'],
  ])('one with both, as %s and %s', async (director, images) => {
    const { mock } = mockWithOrder();
    const folder = await temporaryFolder();
    await writeFiles(path.join(folder, director), mock.director.files());
    await writeFiles(path.join(folder, images), mock.images.files());
    const place = { director: folder, images: folder };
    const state = path.join(folder, 'state');
    const { outcome } = await verifyPlace(place, { state, anchors: anchorsOf(mock) });
    expect(outcome).toMatchObject({ ok: true, value: [{ serial: SERIAL }] });
  });

  it('of a repository that lost its files is a repository without files', async () => {
    const { mock } = mockWithOrder();
    const folder = await mockFolder(mock);
    const state = path.join(folder, 'state');
    const place = { director: path.join(folder, 'director'), images: path.join(folder, 'images') };
    expect((await verifyPlace(place, { state })).outcome.ok).toBe(true);
    await rm(place.images, { recursive: true });
    await mkdir(place.images);
    const { outcome } = await verifyPlace(place, { state });
    expect(outcome).toMatchObject({ code: 'MISSING_METADATA', where: 'images timestamp' });
  });
});

describe('several ECUs', () => {
  it('get one answer each', async () => {
    const { mock } = mockWithOrder();
    mock.assign('CO-000003', mock.release('INV'));
    const folder = await mockFolder(mock);
    const args = [
      ...['--director', folder, '--images', folder, ...ECU, ...TIME],
      ...['--ecu', 'CO-000003', '--hardware', 'INV-HW-1', '--primary'],
      ...['--ecu', 'CO-000004', '--hardware', 'BMS-HW-1'],
      ...['--state', path.join(folder, 'state')],
    ];
    const run = await cli(...args, '--json');
    expect(run.code).toBe(0);
    expect(run.json).toMatchObject({
      target: { serial: SERIAL },
      targets: [{ serial: SERIAL }, { serial: 'CO-000003' }],
    });
    const human = await cli(...args);
    expect(human.stdout.trimEnd().split('\n').slice(-3)).toEqual([
      expect.stringContaining(`ECU ${SERIAL} (EDT-HW-1) gets EDT-2.0.0-`),
      expect.stringContaining('ECU CO-000003 (INV-HW-1) gets INV-2.0.0-'),
      'verified: nothing is assigned to ECU CO-000004',
    ]);
  });

  it('of which none has anything to do', async () => {
    const mock = mockRepositories();
    const folder = await mockFolder(mock);
    const run = await cli(
      ...['--director', folder, '--images', folder, ...ECU, ...TIME, '--json'],
      ...['--state', path.join(folder, 'state')],
    );
    expect(run.json).toMatchObject({ ok: true, target: null, images: { targets: 1 } });
    expect(run.code).toBe(0);
  });
});

describe('--save', () => {
  it('writes what an ECU verifies by itself, with every Root since the first', async () => {
    const { mock, release } = mockWithOrder();
    mock.director.rotate('targets');
    const folder = await mockFolder(mock);
    const file = path.join(folder, 'bundle.json');
    const run = await cli(
      ...['--director', folder, '--images', folder, ...ECU, ...TIME],
      ...['--state', path.join(folder, 'state'), '--save', file],
    );
    expect(run.code).toBe(0);
    const bundle = decodeBundle(new Uint8Array(await readFile(file)));
    if (!bundle.ok) throw new Error(bundle.reason);
    expect(bundle.value.time).toBeNull();
    const [director, images] = [mock.director.anchor, mock.images.anchor].map((anchor) => {
      const trust = trustRoot(anchor);
      if (!trust.ok) throw new Error(trust.reason);
      return trust.value;
    });
    for (const verification of ['partial', 'full'] as const) {
      const verified = verifyBundle({
        trust: { director: director!, images: images! },
        verification,
        bundle: bundle.value,
        nowMs: MOCK_NOW_MS,
        vin: MOCK_VIN,
        ecu: { serial: SERIAL, hardwareId: HARDWARE },
      });
      expect(verified).toMatchObject({ ok: true, value: { target: { name: release.name } } });
    }
  });
});
