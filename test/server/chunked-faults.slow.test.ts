// A bench server that spoils chunked downloads on purpose: each fault ends in the way that is written down for it.

import { describe, expect, it } from 'vitest';
import {
  CHUNK_FAULT_NAMES,
  type ChunkFault,
  type ChunkFaultRates,
} from '../../src/contract/chunked/faults.ts';
import type { ChunkEvent } from '../../src/contract/chunked/receiver.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { ChunkedDevice, releasePackage } from '../support/chunked-device.ts';
import { InjectedBackend } from './injected-support.ts';
import { bearer } from './trust-support.ts';

const IMAGE = seededRandom('image of a bench').bytes(5000);
const HOUR_MS = 3_600_000;

interface Row {
  /** What the receiver says of spoilt answers; `none` where the device notices elsewhere. */
  readonly event: ChunkEvent['kind'] | 'none';
  /** Where it always happens: what the device ends with, and where the server believes it is. */
  readonly always: string;
  readonly state: string;
}

const TABLE: Readonly<Record<ChunkFault, Row>> = {
  'corrupt-chunk': { event: 'foreign', always: 'NO_PROGRESS', state: 'downloading' },
  'bad-hmac': { event: 'foreign', always: 'NO_PROGRESS', state: 'downloading' },
  'bad-hash': { event: 'none', always: 'DIGEST_MISMATCH', state: 'refused' },
  'bad-signature': { event: 'none', always: 'SIGNATURE', state: 'refused' },
  timeout: { event: 'none', always: 'NO_PROGRESS', state: 'downloading' },
  truncate: { event: 'truncated', always: 'NO_PROGRESS', state: 'downloading' },
  replay: { event: 'repeated', always: 'NO_PROGRESS', state: 'downloading' },
  'wrong-order': { event: 'out-of-order', always: 'success', state: 'success' },
};

async function bench(chunkFaults: ChunkFaultRates, seed: number): Promise<ChunkedDevice> {
  const backend = await InjectedBackend.start({ chunkFaults, seed });
  const device = await ChunkedDevice.enrolled(backend);
  holdTime(device);
  expect((await releasePackage(backend, IMAGE)).status).toBe(201);
  return device;
}

/** An answer takes no time, unless the server is late on purpose. */
function holdTime({ backend: { clock }, transport }: ChunkedDevice): void {
  const open = transport.open.bind(transport);
  const late = (): number => clock.pending().filter((name) => name === 'ota-fault').length;
  transport.open = async (request) => {
    const release = clock.hold(request.url.pathname);
    const before = late();
    let isDone = false;
    const answer = open(request).finally(() => {
      isDone = true;
    });
    while (!isDone && late() <= before) await new Promise((resolve) => setImmediate(resolve));
    release();
    return answer;
  };
}

function update(device: ChunkedDevice): Promise<string> {
  return device.backend.clock.run(device.update(), HOUR_MS);
}

async function stateOf(device: ChunkedDevice): Promise<string> {
  const { backend } = device;
  const reply = await backend.request(`/ota/transfers?serial=${device.serial}`, {
    headers: bearer(backend.operator),
  });
  return reply.json.transfers[0].state;
}

describe.each(CHUNK_FAULT_NAMES)('%s', (fault) => {
  const { event, always, state } = TABLE[fault];

  it(`every time: ends with ${always}`, async () => {
    const device = await bench({ [fault]: 1 }, 1);
    expect(await update(device)).toBe(always);
    expect(await stateOf(device)).toBe(state);
    if (event !== 'none') expect(device.events).toContain(event);
    // Nothing that was not proven runs.
    expect(device.version).toBe(always === 'success' ? '1.1.0' : '1.0.0');
  });

  it('now and then: the device gets its package nevertheless', async () => {
    const device = await bench({ [fault]: 0.3 }, 7);
    const ends: string[] = [];
    while (ends.at(-1) !== 'success') {
      expect(ends.length).toBeLessThan(10);
      ends.push(await update(device));
    }
    expect(device.version).toBe('1.1.0');
    expect(await stateOf(device)).toBe('success');
  });
});

describe('a server without faults', () => {
  it('draws no random numbers for them', async () => {
    const [plain, never] = [await bench({}, 3), await bench({ timeout: 0 }, 3)];
    expect(await update(plain)).toBe('success');
    expect(await update(never)).toBe('success');
    const drawn = [plain, never].map(({ backend }) => backend.random.fraction());
    expect(drawn[0]).not.toBe(drawn[1]);
  });
});
