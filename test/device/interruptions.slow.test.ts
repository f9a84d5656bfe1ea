// The network breaks at every exchange, sessions end, keys are copied: the device goes on where it was.

import { describe, expect, it } from 'vitest';
import { fromHex } from '../../src/core/bytes.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { HttpClient } from '../../src/link/http-client.ts';
import type { HttpTransport } from '../../src/link/http-transport.ts';
import { SealedClient } from '../../src/link/sealed-client.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { SimulatedDisk } from '../../src/sim/simulated-disk.ts';
import type { NetworkFault } from '../../src/sim/simulated-network.ts';
import { DeviceWorld, imageOf, type RunningDevice, SERVER } from './support.ts';

const CHUNK_BYTES = 256;
/** Chunks in one answer. */
const ANSWER = 32;

async function ready(answers: number) {
  const world = await DeviceWorld.start();
  const { disk, serial } = await world.enrolled();
  const image = imageOf(answers * ANSWER * CHUNK_BYTES - 1000);
  await world.release(image);
  const device = await world.device(disk, { chunkBytes: CHUNK_BYTES });
  await device.start();
  return { world, disk, serial, image, device };
}

function resumedAt({ events }: RunningDevice): number[] {
  return events.flatMap((event) => (event.kind === 'package' ? [event.resumedAt] : []));
}

const FAULTS: Readonly<Record<string, NetworkFault>> = {
  'is refused': { kind: 'cut' },
  'is lost on its way out': { kind: 'drop', what: 'request' },
  'is lost on its way back': { kind: 'drop', what: 'answer' },
  'breaks in the middle': { kind: 'cut', share: 0.5 },
  'ends early': { kind: 'truncate', share: 0.5 },
  'has wrong bits': { kind: 'garbage', how: 'flip' },
  'is answered by a stranger': { kind: 'garbage', how: 'portal' },
};

describe('an exchange that', () => {
  it.each(Object.entries(FAULTS))(
    '%s costs at most another look, whichever it is',
    async (_name, fault) => {
      const clean = await ready(2);
      await clean.device.once();
      const exchanges = clean.world.network.exchanges;
      expect(exchanges).toBeGreaterThan(8);
      for (let at = 1; at <= exchanges; at++) {
        const { world, disk, image, device } = await ready(2);
        world.network.fault = ({ n }) => (n === at ? fault : undefined);
        let end = await device.once();
        if (end.outcome === 'failed') end = await device.once();
        expect([at, end.outcome]).toEqual([at, 'success']);
        expect(disk.durable('bank-b.bin')).toEqual(image);
      }
    },
  );
});

describe('a session', () => {
  it('that is renewed in the middle of a transfer costs no chunk', async () => {
    const { world, disk, image } = await ready(5);
    const { clock, network } = world;
    let aheadMs = 0;
    const device = await world.device(disk, {
      chunkBytes: CHUNK_BYTES,
      clock: {
        nowMs: () => clock.nowMs(),
        wallMs: () => clock.wallMs() + aheadMs,
        after: (name, delayMs, fire) => clock.after(name, delayMs, fire),
      },
    });
    await device.start();
    const paths: string[] = [];
    network.fault = ({ path }) => {
      paths.push(path);
      // More than half of the life of a session is over.
      if (paths.filter((each) => each === '/ota/chunk').length === 2) aheadMs = 13 * 3_600_000;
      return undefined;
    };
    expect(await device.once()).toEqual({ outcome: 'success' });
    const opened = paths.flatMap((path, at) => (path === '/auth/response' ? [at] : []));
    const [first, last] = [paths.indexOf('/ota/chunk'), paths.lastIndexOf('/ota/chunk')];
    expect(opened.some((at) => at > first && at < last)).toBe(true);
    expect(paths.filter((path) => path === '/ota/chunk')).toHaveLength(5);
    expect(disk.durable('bank-b.bin')).toEqual(image);
  });

  it('that the backend has forgotten is opened again', async () => {
    const { world, device } = await ready(4);
    let chunks = 0;
    world.network.fault = ({ path }) => {
      if (path === '/ota/chunk' && ++chunks === 2) {
        world.database.exec('delete from sealed_sessions');
      }
      return undefined;
    };
    expect(await device.once()).toEqual({ outcome: 'success' });
    expect(device.events).toContainEqual({
      kind: 'trouble',
      reason: '/ota/chunk: a message is refused (SESSION_UNKNOWN)',
    });
  });
});

describe('the key of a device', () => {
  /** A download that stops in its middle, for lack of a network. */
  async function halfWay() {
    const made = await ready(5);
    const { network } = made.world;
    let chunks = 0;
    network.fault = ({ path }) => {
      if (path === '/ota/chunk') chunks++;
      return chunks > 2 ? { kind: 'cut' } : undefined;
    };
    expect(await made.device.once()).toMatchObject({ outcome: 'failed' });
    network.fault = undefined;
    return made;
  }

  it('waits with its change until a download is over', async () => {
    const { world, disk, image } = await halfWay();
    const paths: string[] = [];
    world.network.fault = ({ path }) => {
      paths.push(path);
      return undefined;
    };
    await world.clock.advance(31 * 24 * 3_600_000);
    const device = await world.device(disk, { chunkBytes: CHUNK_BYTES });
    await device.start();
    expect(await device.once()).toEqual({ outcome: 'success' });
    expect(resumedAt(device)).toEqual([2 * ANSWER * CHUNK_BYTES]);
    expect(paths).not.toContain('/auth/rotate');
    expect(disk.durable('bank-b.bin')).toEqual(image);
    expect(await device.once()).toMatchObject({ outcome: 'up-to-date' });
    expect(paths.filter((path) => path === '/auth/rotate')).toHaveLength(1);
    expect(await device.once()).toMatchObject({ outcome: 'up-to-date' });
  });

  it('that changes in the middle of a download costs what has come, and nothing else', async () => {
    const { world, disk, image, serial } = await halfWay();
    const { clock, network: transport } = world;
    const bytes = JSON.parse(new TextDecoder().decode(disk.contents('identity.json')));
    const deviceSecret = fromHex(bytes.deviceSecret);
    const client = await SealedClient.open({
      client: new HttpClient({ clock, headers: {}, transport }),
      base: new URL(`${SERVER}/`),
      device: { serial, hwId: bytes.hwId, deviceSecret },
      storage: disk.open(),
      ...{ clock, random: seededRandom('rotation'), logger: silentLogger },
    });
    expect(await clock.run(client.rotate(), 60_000)).toEqual({ kind: 'rotated' });
    const device = await world.device(disk, { chunkBytes: CHUNK_BYTES });
    await device.start();
    expect(await device.once()).toEqual({ outcome: 'success' });
    expect(resumedAt(device)).toEqual([0]);
    expect(disk.durable('bank-b.bin')).toEqual(image);
  });
});

describe('a device', () => {
  it('that is revoked in the middle of a transfer ends it, works on, and resumes when it may', async () => {
    const { world, disk, serial, device } = await ready(4);
    let chunks = 0;
    world.network.fault = ({ path }) => {
      if (path === '/ota/chunk' && ++chunks === 3) {
        world.database.exec(`update devices set status = 'revoked' where serial = '${serial}'`);
      }
      return undefined;
    };
    expect(await device.once()).toMatchObject({
      outcome: 'failed',
      code: 'HTTP_401',
      transient: false,
    });
    expect(device.events.findLast((event) => event.kind === 'work')).toMatchObject({
      running: true,
    });
    expect(await world.status(disk)).toMatchObject({ state: 'error', version: '1.0.0' });
    world.database.exec("update devices set status = 'active'");
    const again = await world.device(disk, { chunkBytes: CHUNK_BYTES });
    await again.start();
    expect(await again.once()).toEqual({ outcome: 'success' });
    expect(resumedAt(again)).toEqual([2 * ANSWER * CHUNK_BYTES]);
  });

  it('takes nothing of an older package for the newer one that it finds in its place', async () => {
    const { world, disk, device } = await ready(5);
    const stopAfter = (answers: number): void => {
      let chunks = 0;
      world.network.fault = ({ path }) =>
        path === '/ota/chunk' && ++chunks > answers ? { kind: 'cut' } : undefined;
    };
    stopAfter(3);
    expect(await device.once()).toMatchObject({ outcome: 'failed', code: 'ECONNRESET' });
    const newer = imageOf(5 * ANSWER * CHUNK_BYTES, 3);
    await world.release(newer, { version: '3.0.0', counter: 3 });
    stopAfter(1);
    expect(await device.once()).toMatchObject({ outcome: 'failed', code: 'ECONNRESET' });
    world.network.fault = undefined;
    const next = await world.device(disk, { chunkBytes: CHUNK_BYTES });
    await next.start();
    expect(await next.once()).toEqual({ outcome: 'success' });
    expect(resumedAt(device)).toEqual([0, 0]);
    expect(resumedAt(next)).toEqual([ANSWER * CHUNK_BYTES]);
    expect(disk.durable('bank-b.bin')).toEqual(newer);
  });

  it('whose key is in two places hears of it: one download ends the other', async () => {
    const { world, disk, device } = await ready(6);
    const copy = new SimulatedDisk({ files: disk.files() });
    const twin = await world.device(copy, { chunkBytes: CHUNK_BYTES });
    const twinStart = twin.start();
    await twinStart;
    const ends = await world.settle(Promise.all([device.look(), twin.look()]));
    expect(ends.map(({ outcome }) => outcome).sort()).toEqual(['failed', 'success']);
    expect(ends.find(({ outcome }) => outcome === 'failed')).toMatchObject({
      code: 'TRANSFER_ENDED',
      transient: true,
    });
    const audit = world.database.prepare('select action from audit').all() as { action: string }[];
    expect(audit.map(({ action }) => action)).toContain('device.twin');
  });

  it('keeps nothing of an answer but what is in its working memory', async () => {
    const { world, disk, image } = await ready(3);
    /** One buffer for all pieces of all answers: whoever keeps a piece finds other bytes in it. */
    const shared = new Uint8Array(8192);
    const transport: HttpTransport = {
      open: async (request) => {
        const response = await world.network.open(request);
        if (!request.url.pathname.endsWith('/ota/chunk')) return response;
        return {
          ...response,
          body: (async function* () {
            for await (const piece of response.body) {
              for (let at = 0; at < piece.length; at += 100) {
                const part = piece.subarray(at, at + 100);
                shared.set(part);
                yield shared.subarray(0, part.length);
                shared.fill(0xee);
              }
            }
          })(),
        };
      },
    };
    const device = await world.device(disk, { chunkBytes: CHUNK_BYTES, transport });
    await device.start();
    expect(await device.once()).toEqual({ outcome: 'success' });
    expect(disk.durable('bank-b.bin')).toEqual(image);
  });
});
