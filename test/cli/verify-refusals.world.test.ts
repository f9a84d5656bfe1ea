// `can-ota verify`: what is refused, and with which code.

import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import type { MockRepository } from '../support/mock-repositories.ts';
import {
  anchorsOf,
  HARDWARE,
  mockWithOrder,
  SERIAL,
  serve,
  temporaryFolder,
  verifyMock,
  verifyPlace,
} from './verify-support.ts';

describe('what is refused', () => {
  type Files = ReadonlyMap<string, Uint8Array>;
  /** `first`: the files that the Director served at first. */
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
      // Both have new versions, so that all files are requested.
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
      // Only the first byte of Timestamp.
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
