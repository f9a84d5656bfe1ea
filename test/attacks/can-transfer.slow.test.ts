// The table of attacks: a node between the TMU and its ECUs during an update, and one that hears every frame.

import { expect } from 'vitest';
import { createEcu } from '../../ecus/create-ecu.ts';
import type { CanFrame } from '../../src/bus/can-frame.ts';
import type { Target } from '../../src/campaign/ports.ts';
import { concatBytes, fromHex, toHex } from '../../src/core/bytes.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import { testerAddresses } from '../../src/isotp/address.ts';
import { IsoTpChannel } from '../../src/isotp/channel.ts';
import { SimulatedWire } from '../../src/sim/simulated-bus.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { UdsClient } from '../../src/uds/client.ts';
import { findEcu } from '../../src/vehicle/load.ts';
import { Heard } from '../support/attack-backend.ts';
import { bundleFrom } from '../support/attack-ecu.ts';
import { ecuOptions, testerKeyTo } from '../support/attack-factory.ts';
import {
  encryptedFor,
  honestRepositories,
  imageOf,
  order,
} from '../support/attack-repositories.ts';
import { attacksOn } from '../support/attack-table.ts';
import {
  AttackedVehicle,
  MAY_MOVE_ON,
  type Tamper,
  tmuVehicle,
  updatedVehicle,
} from '../support/attack-vehicle.ts';
import { digestOf } from '../support/ecu-bench.ts';

const attack = attacksOn('CAN bus');

const hexOf = (bytes: Uint8Array): string => toHex(bytes).toUpperCase();

attack(
  {
    name: 'metadata changed on the bus',
    has: 'a node between TMU and EDT',
    does: 'changes a signature in the metadata that the TMU sends',
    vehicle: 'has the ECU refuse it before the erase, and hears from it why',
    code: 'ARBITRARY_SOFTWARE',
  },
  async () => {
    const w = await AttackedVehicle.start();
    w.release(w.honest, 'EDT', '3.0.0');
    w.tamper = (request, ecu) => {
      if (ecu !== 'EDT' || request[0] !== 0x36) return undefined;
      const changed = Buffer.from(request);
      // The file is a text in a JSON text: its quotation marks have backslashes.
      const at = changed.indexOf('\\"sig\\":\\"');
      if (at < 0) return undefined;
      changed[at + 12] = changed[at + 12] === 0x30 ? 0x31 : 0x30;
      return Uint8Array.from(changed);
    };
    const code = await w.refusal(MAY_MOVE_ON);
    expect(w.ecu('EDT').events).toContainEqual(
      expect.objectContaining({ kind: 'metadata-refused', code: 'ARBITRARY_SOFTWARE' }),
    );
    await w.recovers('EDT', '4.0.0');
    return code;
  },
);

/** Something else in place of the blocks of EDT's image; metadata goes through. */
function inImage(change: (block: Uint8Array) => Uint8Array): Tamper {
  let isImage = false;
  return (request, ecu) => {
    if (ecu !== 'EDT') return undefined;
    if (request[0] === 0x34) isImage = true;
    if (request[0] === 0x38) isImage = false;
    return isImage && request[0] === 0x36 ? change(request) : undefined;
  };
}

/** A campaign for EDT and INV that somebody on the bus keeps from its end: no ECU may run anything new. */
async function halfway(
  spoil: (w: AttackedVehicle) => void,
  afterwards: (w: AttackedVehicle) => void = () => {},
): Promise<string> {
  const w = await AttackedVehicle.start();
  for (const ecu of ['EDT', 'INV'] as const) w.release(w.honest, ecu, '3.0.0');
  spoil(w);
  const before = w.state();
  const result = await w.once();
  expect(result.outcome, result.reason).toBe('ROLLBACK_COMPLETED');
  expect(w.state().running).toEqual(before.running);
  afterwards(w);
  await w.recovers('EDT', '4.0.0');
  return result.code ?? 'none';
}

attack(
  {
    name: 'image changed on the bus',
    has: 'a node between TMU and EDT',
    does: 'changes a byte of the image on its way to the ECU',
    vehicle: 'has the ECU find another hash, and goes on with what runs in every ECU',
    code: 'DIGEST_MISMATCH',
  },
  () =>
    halfway(
      (w) => {
        w.tamper = inImage((block) =>
          block.map((byte, index) => (index === 500 ? byte ^ 1 : byte)),
        );
      },
      (w) =>
        expect(w.ecu('EDT').events).toContainEqual(
          expect.objectContaining({ kind: 'image-refused', code: 'IMAGE_MISMATCH' }),
        ),
    ),
);

attack(
  {
    name: 'partial bundle on the bus',
    has: 'a node on the bus that can silence INV',
    does: 'lets EDT take its part of a bundle, and keeps INV from its own',
    vehicle: 'activates no ECU before all of them hold their image, and goes on with what runs',
    code: 'SILENT',
  },
  () =>
    halfway((w) => {
      w.ecu('INV').loses = (request) => request.startsWith('36');
    }),
);

attack(
  {
    name: 'session ended by a stranger',
    has: 'a node on the bus',
    does: 'sends ECUReset in the middle of every transfer to EDT: requests of UDS have no sender',
    vehicle:
      'tries again, gives up, and goes on with what runs; a bank that was half written never counts',
    code: 'none',
    open: 'He can keep the vehicle from its update as long as he is there, as with a jammer.',
  },
  async () => {
    const code = await halfway((w) => {
      w.tamper = inImage(() => fromHex('1101'));
    });
    expect(code).not.toBe('none');
    return 'none';
  },
);

// ---- frames ----

/** EDT on a wire with real frames, the driver of the TMU, and everything that anybody on the wire hears. */
async function onWire() {
  const { disks, wallMs } = await updatedVehicle();
  const clock = new VirtualClock(wallMs);
  const wire = new SimulatedWire({ clock, bitrate: 0, dataBitrate: 0 });
  const ecu = await createEcu({
    ...ecuOptions('EDT', 4711),
    ...{ name: 'EDT', clock, logger: silentLogger, normalTraffic: false },
    storage: disks.EDT.afterPowerCut(),
    bus: wire.attach('EDT'),
  });
  const tester = wire.attach('TMU');
  const node = wire.attach('intruder');
  const heard: CanFrame[] = [];
  node.monitor(({ frame }) => heard.push(frame));
  const described = findEcu(tmuVehicle, 'EDT');
  const { physical } = testerAddresses(described.address);
  const driver = new UdsEcuDriver({
    ecu: described,
    requester: new UdsClient({
      connection: new IsoTpChannel({
        bus: tester,
        clock,
        address: physical,
        config: { fd: false },
      }),
      clock,
      timing: described.timing,
    }),
    clock,
    authority: { role: 'tester', key: await testerKeyTo('EDT') },
  });
  return { clock, ecu, node, heard, driver, wallMs };
}

/** The release for EDT as the TMU hands it to its driver; `blob` where it is encrypted. */
async function targetFor(wallMs: number, encrypt: boolean) {
  const mock = honestRepositories();
  mock.skip(wallMs + 60_000 - mock.director.nowMs);
  const image = imageOf('EDT', encrypt ? 'secret' : 'open');
  const release = mock.release('EDT', { version: '3.0.0', releaseCounter: 3, image, encrypt });
  const { blob, encryption } = await encryptedFor('EDT', release);
  order(mock, 'EDT', release, encrypt ? { encryption } : {});
  const bytes = encrypt ? blob : image;
  const target: Target = {
    campaign: 'c3'.repeat(16),
    version: '3.0.0',
    image: {
      length: bytes.length,
      sha256: toHex(digestOf(bytes)),
      read: async (offset, length) => bytes.slice(offset, offset + length),
    },
    metadata: async (state) => ({ ok: true, value: bundleFrom(mock, state) }),
    ...(encrypt
      ? { plain: { length: image.length, sha256: release.target.hashes.sha256! }, encryption }
      : {}),
  };
  return { target, image };
}

/** What the frames of one identifier carry, without the bytes of ISO-TP. */
function carried(frames: readonly CanFrame[], id: number): Uint8Array {
  return concatBytes(
    ...frames
      .filter((frame) => frame.id === id)
      .map(({ data }) => data.subarray((data[0]! & 0xf0) === 0x10 ? 2 : 1)),
  );
}

for (const encrypt of [true, false]) {
  attack(
    {
      name: encrypt ? 'eavesdrop on the bus' : 'eavesdrop on the bus, a release in plain',
      has: 'a node on the bus, and every frame on it',
      does: 'puts the frames of a download together, and looks for the image',
      vehicle: encrypt
        ? 'sends the image as it was encrypted, and only the ECU opens it'
        : 'sends what was released in plain in plain',
      code: 'none',
      ...(encrypt
        ? {}
        : { open: 'Whoever wants an image to stay secret releases it with --encrypt.' }),
    },
    async () => {
      const { clock, ecu, heard, driver, wallMs } = await onWire();
      const { target, image } = await targetFor(wallMs, encrypt);
      const staged = await clock.within(600_000, driver.stage(target));
      expect(staged).toMatchObject({ ok: true });
      const found = new Heard();
      found.bus.push(carried(heard, 0x7e1));
      expect(found.bytes).toBeGreaterThan(image.length);
      expect(found.find(image)).toEqual(encrypt ? [] : ['CAN bus']);
      await ecu.close();
      return 'none';
    },
  );
}

attack(
  {
    name: 'replayed frames',
    has: 'a node on the bus, and every frame of an honest update',
    does: 'sends all frames of the TMU once more, in their order',
    vehicle: 'asks for a key to another seed, and does nothing of what follows',
    code: 'NRC 35',
  },
  async () => {
    const { clock, ecu, heard, node, driver, wallMs } = await onWire();
    const { target } = await targetFor(wallMs, false);
    expect(await clock.within(600_000, driver.stage(target))).toMatchObject({ ok: true });
    const recorded = heard.filter(({ id }) => id === 0x7e1);
    expect(recorded.length).toBeGreaterThan(500);
    const events: string[] = [];
    ecu.on(({ kind }) => events.push(kind));
    heard.length = 0;
    for (const frame of recorded) {
      node.send(frame, () => {});
      await clock.advance(1);
    }
    await clock.advance(6000);
    const answers = heard.filter(({ id }) => id === 0x7e9).map(({ data }) => hexOf(data));
    expect(events.filter((kind) => kind !== 'session')).toEqual([]);
    // Erase and download, too: 33, since nobody is unlocked.
    expect(answers.some((answer) => answer.startsWith('037F3133'))).toBe(true);
    await ecu.close();
    return answers.some((answer) => answer.startsWith('037F2735')) ? 'NRC 35' : 'none';
  },
);
