// How long a driver lets an ECU say "pending" before it goes on without it: each kind of question has its limit.

import { describe, expect, it } from 'vitest';
import { BusSilence, S3_OVER_MS, S3_SERVER_MS } from '../../src/drivers/bus-silence.ts';
import { DidReader } from '../../src/drivers/ecu-services-read.ts';
import { Exchange } from '../../src/drivers/exchange.ts';
import { order, writeDid } from '../../src/drivers/provision-access.ts';
import { UdsVehicleState } from '../../src/drivers/vehicle-signals.ts';
import type { RequestOptions, UdsReply } from '../../src/uds/reply.ts';
import { vehicleSchema } from '../../src/vehicle/schema.ts';
import { ecuOf, ScriptedEcu } from './support.ts';

/** With the limit of every request. */
class Limited extends ScriptedEcu {
  readonly limits: (number | undefined)[] = [];
  readonly times: number[] = [];

  override request(request: Uint8Array, options: RequestOptions = {}): Promise<UdsReply> {
    this.limits.push(options.pendingLimitMs);
    this.times.push(this.clock.nowMs());
    return super.request(request, options);
  }
}
const exchangeOf = (ecu: ScriptedEcu, change: Record<string, unknown> = {}) =>
  new Exchange({ ecu: ecuOf(change), requester: ecu, clock: ecu.clock });

describe('the limit', () => {
  it('of an ECU that leaves the silence is half a second, four times a second', async () => {
    const ecu = new Limited({ '1001': ['transport', 'transport', '5001'] });
    const { clock } = ecu;
    const silence = new BusSilence({ members: () => [exchangeOf(ecu)], clock });
    await clock.within(60_000, silence.restore());
    expect(ecu.limits).toEqual([500, 500, 500]);
    expect(ecu.times.map((atMs) => atMs - ecu.times[0]!)).toEqual([0, 250, 500]);
    expect([S3_SERVER_MS, S3_OVER_MS]).toEqual([5000, 5500]);
  });

  it('of a signal and of data is three seconds', async () => {
    const ecu = new Limited({ '22FD40': '62FD4000' });
    const vehicle = vehicleSchema.parse({
      ...{ vin: '1CANXTABENCH00001', buses: { main: {} } },
      ecus: [
        {
          ...{ name: 'CGW', hardwareId: 'H', memory: { bankSize: 4096 } },
          address: { mode: 'normal', request: 0x7e0, response: 0x7e8 },
        },
      ],
      signals: { speed: { ecu: 'CGW', did: 0xfd40, unit: 'km/h' } },
      conditions: [{ name: 'standing', require: 'speed == 0' }],
    });
    const { clock } = ecu;
    const state = new UdsVehicleState({ vehicle, clock, requesterFor: () => ecu });
    await state.check({ gate: 'stage', updateSeconds: 0, rollbackSeconds: 0 });
    await new DidReader(exchangeOf(ecu)).one(0xfd40);
    expect(ecu.limits).toEqual([3000, 3000]);
  });

  it('of everything else is that of the vehicle file', async () => {
    const ecu = new Limited({ '22F190': '62F19041' });
    const exchange = exchangeOf(ecu, { timing: { pendingLimitMs: 77_000 } });
    await exchange.ask(Uint8Array.of(0x22, 0xf1, 0x90), 'reading it');
    await exchange.ask(Uint8Array.of(0x22, 0xf1, 0x90), 'reading it', undefined, {
      pendingLimitMs: 5,
    });
    expect(ecu.limits).toEqual([77_000, 5]);
  });
});

it('an identifier in a sentence has four digits', async () => {
  const ecu = new ScriptedEcu({ '2E000A': '7F2E31', '2EFD13': '7F2E31' });
  const exchange = exchangeOf(ecu);
  for (const write of [writeDid, order]) {
    expect(await write(exchange, 0x0a, 'key', new Uint8Array(1))).toMatchObject({
      reason: expect.stringContaining('while writing its key (000A): '),
    });
    expect(await write(exchange, 0xfd13, 'key', new Uint8Array(1))).toMatchObject({
      reason: expect.stringContaining('while writing its key (FD13): '),
    });
  }
});
