// `can-ota verify`: its output and exit codes, and where it reads repositories.

import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { lockFolder } from '../../src/core/lock.ts';
import { decodeBundle } from '../../src/trust/bundle.ts';
import { verifyBundle } from '../../src/trust/partial-verification.ts';
import { trustRoot } from '../../src/trust/repository.ts';
import { MOCK_NOW_MS, MOCK_VIN, mockRepositories } from '../support/mock-repositories.ts';
import {
  anchorsOf,
  cli,
  ECU,
  HARDWARE,
  mockFolder,
  mockWithOrder,
  SERIAL,
  serve,
  serveMock,
  TIME,
  temporaryFolder,
  verifyPlace,
  writeFiles,
} from './verify-support.ts';

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
        ...{ releaseCounter: 2, dependencies: {}, encrypt: false, forced: false, notes: '' },
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
    expect(run.stderr).toContain('give a trusted one with --director-root');
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
    // Both states have their Root now.
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
      '--counter: applies to a single ECU',
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
