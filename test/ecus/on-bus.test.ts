// ECUs on a simulated wire with real ISO-TP channels, in front of the TMU's own driver and approver.

import { describe, expect, it } from 'vitest';
import { createCgw } from '../../ecus/cgw/create-cgw.ts';
import { createEcu } from '../../ecus/create-ecu.ts';
import { frameText } from '../../src/bus/can-frame.ts';
import type { Target } from '../../src/campaign/ports.ts';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { CgwApprover } from '../../src/drivers/cgw-approver.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import { testerAddresses } from '../../src/isotp/address.ts';
import { IsoTpChannel } from '../../src/isotp/channel.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { SimulatedWire } from '../../src/sim/simulated-bus.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { commitmentOf } from '../../src/trust/authority.ts';
import { UdsClient } from '../../src/uds/client.ts';
import { findEcu } from '../../src/vehicle/load.ts';
import { type Vehicle, vehicleSchema } from '../../src/vehicle/schema.ts';
import {
  APPROVAL_KEY,
  benchVehicle,
  bundleOf,
  CAMPAIGN,
  digestOf,
  imageOf,
  releaseOf,
} from '../support/ecu-bench.ts';
import { FaultStorage } from '../support/fault-storage.ts';
import { benchTesterKey } from '../support/secured-message.ts';

function onWire(vehicle: Vehicle = benchVehicle, bitrate = 0) {
  const clock = new VirtualClock();
  const wire = new SimulatedWire({ clock, bitrate, dataBitrate: bitrate * 4 });
  const frames: string[] = [];
  const tester = wire.attach('tester');
  tester.monitor(({ frame }) => frames.push(frameText(frame)));
  const parts = {
    vehicle,
    clock,
    random: seededRandom(),
    logger: silentLogger,
    benchKeys: true,
  };
  const requesterFor = (name: string): UdsClient => {
    const ecu = findEcu(vehicle, name);
    const { physical, functional } = testerAddresses(ecu.address);
    const config = { fd: ecu.fd };
    return new UdsClient({
      connection: new IsoTpChannel({ bus: tester, clock, address: physical, config }),
      ...(functional && {
        functional: new IsoTpChannel({
          bus: tester,
          clock,
          address: functional,
          config,
          kind: 'functional',
        }),
      }),
      clock,
      timing: ecu.timing,
    });
  };
  return { clock, wire, frames, parts, requesterFor };
}

const image = imageOf(30_000);
const target: Target = {
  campaign: CAMPAIGN,
  version: '2.0.0',
  metadata: async (state) => ({
    ok: true,
    value: bundleOf(releaseOf(image, '2.0.0'), state, Date.UTC(2026, 0, 1)),
  }),
  image: {
    length: image.length,
    sha256: toHex(digestOf(image)),
    read: async (offset: number, length: number) => image.slice(offset, offset + length),
  },
};

function fdVehicle(): Vehicle {
  return vehicleSchema.parse({
    ...benchVehicle,
    approval: undefined,
    ecus: [{ ...benchVehicle.ecus[1]!, fd: { txDl: 64 } }],
  });
}

describe('on a wire', () => {
  it.each([
    ['classic', benchVehicle],
    ['CAN FD', fdVehicle()],
  ])(
    'an ECU is programmed, activated, verified and confirmed by the driver: %s',
    async (_kind, vehicle) => {
      const { clock, wire, parts, requesterFor } = onWire(vehicle);
      const storage = new FaultStorage();
      const ecu = await createEcu({ ...parts, name: 'EDT', bus: wire.attach('EDT'), storage });
      const driver = new UdsEcuDriver({
        ecu: findEcu(vehicle, 'EDT'),
        requester: requesterFor('EDT'),
        clock,
        authority: { role: 'tester', key: benchTesterKey('EDT') },
      });
      let commitment = '';
      let receipt = '';
      const verify = async () => {
        const verified = await driver.verify(target, { knownDtcs: ['934200'], heartbeatMs: 2000 });
        if (verified.ok) commitment = verified.value.commitment!;
        return verified;
      };
      const confirm = async () => {
        const confirmed = await driver.confirm(target, [commitment]);
        if (confirmed.ok) receipt = confirmed.value!;
        return confirmed;
      };
      const steps: (() => Promise<{ readonly ok: boolean }>)[] = [
        () => driver.stage(target),
        () => driver.activate(target),
        verify,
        confirm,
        confirm, // again: the same receipt
        () => driver.stage(target), // again: nothing to do
      ];
      for (const step of steps)
        expect(await clock.within(600_000, step())).toMatchObject({ ok: true });
      expect(storage.contents('bank-b.bin')).toEqual(image);
      expect(toHex(commitmentOf(fromHex(CAMPAIGN), fromHex(receipt)))).toBe(commitment);
      const rolledBack = await clock.within(
        600_000,
        driver.rollback({ target, previous: { version: '1.0.0' }, changed: 'yes' as const }),
      );
      expect(rolledBack).toMatchObject({ ok: true, value: { version: '1.0.0' } });
      await ecu.close();
    },
  );

  it('normal traffic pauses for programming and comes back', async () => {
    const { clock, wire, frames, parts, requesterFor } = onWire();
    const ecu = await createEcu({
      ...parts,
      name: 'EDT',
      bus: wire.attach('EDT'),
      storage: new FaultStorage(),
    });
    const cyclic = async (ms: number): Promise<number> => {
      const before = frames.length;
      await clock.advance(ms);
      return frames.slice(before).filter((text) => text.startsWith('3A0#')).length;
    };
    expect(await cyclic(1000)).toBe(10);
    const client = requesterFor('EDT');
    await clock.within(1000, client.broadcast(Uint8Array.of(0x10, 0x03)));
    await clock.within(1000, client.broadcast(Uint8Array.of(0x28, 0x01, 0x01)));
    client.keepAlive('all-ecus');
    expect(await cyclic(20_000)).toBe(0);
    client.keepAlive('off');
    await cyclic(5100); // S3 ends the session, and with it the silence
    expect(await cyclic(1000)).toBe(10);
    await clock.within(1000, client.broadcast(Uint8Array.of(0x11, 0x01)));
    expect(await cyclic(150)).toBe(0);
    expect(await cyclic(1100)).toBeGreaterThan(8);
    await ecu.close();
    expect(await cyclic(1000)).toBe(0);
  });

  it('a transfer leaves the paced wire little rest', async () => {
    const { clock, wire, parts, requesterFor } = onWire(benchVehicle, 500_000);
    await createEcu({
      ...parts,
      name: 'EDT',
      bus: wire.attach('EDT'),
      storage: new FaultStorage(),
      normalTraffic: false,
    });
    const driver = new UdsEcuDriver({
      ecu: findEcu(benchVehicle, 'EDT'),
      requester: requesterFor('EDT'),
      clock,
    });
    const staged = await clock.within(600_000, driver.stage(target));
    if (!staged.ok) throw new Error(JSON.stringify(staged));
    expect(image.length / (staged.value.transferMs / 1000)).toBeGreaterThan(0.97 * 29_900);
  });

  it('the driver is asked through the CGW', async () => {
    const { clock, wire, parts, requesterFor } = onWire();
    const cgw = await createCgw({
      ...parts,
      bus: wire.attach('CGW'),
      storage: new FaultStorage(),
      approve: 'yes',
    });
    const approver = new CgwApprover({
      ecu: findEcu(benchVehicle, 'CGW'),
      key: APPROVAL_KEY,
      requester: requesterFor('CGW'),
      clock,
    });
    const question = {
      campaignId: '01'.repeat(16),
      planDigest: '02'.repeat(32),
      nonce: '03'.repeat(16),
      phase: 'install' as const,
      facts: {
        vin: benchVehicle.vin,
        phase: 'install' as const,
        forced: false,
        purpose: 'test',
        ecus: [{ name: 'EDT', from: '1.0.0', to: '2.0.0', changes: 'x'.repeat(300) }],
        durationSeconds: 10,
        unavailable: [],
        instructions: '',
        timeoutSeconds: 30,
      },
    };
    expect(await clock.within(60_000, approver.ask(question))).toEqual({ kind: 'approved' });
    expect(await clock.within(60_000, approver.recheck(question, true))).toEqual({
      kind: 'approved',
    });
    // Somebody else's key: the answer is forged.
    const stranger = new CgwApprover({
      ecu: findEcu(benchVehicle, 'CGW'),
      key: '00'.repeat(32),
      requester: requesterFor('CGW'),
      clock,
    });
    expect(await clock.within(60_000, stranger.ask(question))).toMatchObject({ kind: 'forged' });
    await cgw.close();
  });
});
