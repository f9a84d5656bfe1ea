// The factory's client of the registry: the real backend understands it.

import { describe, expect, it } from 'vitest';
import { addToken } from '../../server/features/registry/tool-commands.ts';
import { systemClock } from '../../src/core/clock.ts';
import { HttpRegistry } from '../../src/factory/registry.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { startBackend } from '../server/support.ts';

const HW_ID = '00112233445566778899aabbccddeeff';

describe('with the real backend', () => {
  it('is understood: once, again, and as one who may not', async () => {
    const backend = await startBackend();
    const token = await addToken(backend.dataDir, 'line-1', 'factory');
    const options = { server: backend.url, clock: systemClock, random: seededRandom() };
    const registry = new HttpRegistry({ ...options, token });
    const facts = { hwId: HW_ID, vin: '1CANXTABENCH00001', name: 'EDT', hardwareId: 'EDT-HW-1' };
    const first = await registry.provision(facts);
    expect(first).toEqual({ ok: true, value: { serial: 'CO-000001', status: 'factory_only' } });
    const keys = { hwId: HW_ID, signingKey: '11'.repeat(32), encryptionKey: '22'.repeat(32) };
    expect(await registry.provision({ ...keys, deviceSecretHash: '33'.repeat(32) })).toEqual(first);
    expect(await registry.activate(HW_ID)).toMatchObject({ value: { status: 'active' } });
    expect(await registry.provision(keys)).toMatchObject({ value: { status: 'active' } });
    expect(await registry.provision({ ...keys, signingKey: '44'.repeat(32) })).toMatchObject({
      ok: false,
      code: 'DEVICE_ACTIVE',
    });
    const stranger = new HttpRegistry({ ...options, token: 'x'.repeat(40) });
    expect(await stranger.provision(facts)).toMatchObject({ ok: false });
  });
});
