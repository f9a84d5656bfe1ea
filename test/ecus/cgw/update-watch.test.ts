// How far an ECU is programmed, seen from beside: whole downloads, repeats, failures, and what it listens to.

import { describe, expect, it } from 'vitest';
import { DownloadTrack, type UpdateProgress, UpdateWatch } from '../../../ecus/cgw/update-watch.ts';
import { classicFrame } from '../../../src/bus/can-frame.ts';
import { fromHex } from '../../../src/core/bytes.ts';
import { SimulatedWire } from '../../../src/sim/simulated-bus.ts';
import { VirtualClock } from '../../../src/sim/virtual-clock.ts';
import { findEcu, parseVehicle } from '../../../src/vehicle/load.ts';

const DOWNLOAD = fromHex('34 00 44 08000000 00000019'); // 25 bytes
const READY = fromHex('74 20 000c'); // blocks of 12 bytes: 10 of them data

describe('DownloadTrack', () => {
  const received = (track: DownloadTrack, hex: string): number | undefined =>
    track.response(fromHex(hex))?.received;

  it('counts blocks up to the size, each of them once', () => {
    const track = new DownloadTrack('EDT');
    track.request(DOWNLOAD);
    expect(track.response(READY)).toEqual({ ecu: 'EDT', received: 0, total: 25 });
    expect(track.wantsRequests).toBe(false);
    expect(received(track, '7f 36 78')).toBeUndefined(); // responsePending
    expect(received(track, '76 01')).toBe(10);
    expect(received(track, '76 01')).toBeUndefined(); // the tester repeated the block
    expect(received(track, '76 02')).toBe(20);
    expect(received(track, '76 03')).toBe(25);
    expect(received(track, '77')).toBe(25);
    expect(track.wantsRequests).toBe(true);
    expect(received(track, '76 04')).toBeUndefined();
  });

  it('begins again after a failure', () => {
    const track = new DownloadTrack('EDT');
    track.request(DOWNLOAD);
    track.response(READY);
    received(track, '76 01');
    expect(received(track, '7f 36 72')).toBeUndefined(); // generalProgrammingFailure
    expect(track.wantsRequests).toBe(true);
    track.request(DOWNLOAD);
    expect(received(track, '74 20 000c')).toBe(0);
    expect(received(track, '76 01')).toBe(10);
  });

  it('says nothing of a download whose size it does not know', () => {
    const track = new DownloadTrack('EDT');
    expect(track.response(READY)).toBeUndefined();
    expect(received(track, '76 01')).toBeUndefined();
    track.request(fromHex('34 00 00')); // no widths
    expect(track.response(READY)).toBeUndefined();
    track.request(DOWNLOAD);
    expect(track.response(fromHex('74'))).toBeUndefined();
    expect(track.response(new Uint8Array())).toBeUndefined();
  });
});

describe('UpdateWatch', () => {
  it('hears a download on the bus, without the blocks themselves', async () => {
    const vehicle = parseVehicle(
      `vin: 1CANXTABENCH00001
buses: { main: {} }
ecus:
  - { name: EDT, hardwareId: HW, address: { mode: normal, request: 0x7E1, response: 0x7E9 } }
`,
      'v.yaml',
    );
    const clock = new VirtualClock();
    const wire = new SimulatedWire({ clock, bitrate: 500_000, name: 'bench' });
    const [gateway, tester, ecu] = [wire.attach('CGW'), wire.attach('TMU'), wire.attach('EDT')];
    const seen: UpdateProgress[] = [];
    const watch = new UpdateWatch(gateway, [findEcu(vehicle, 'EDT')], (one) => seen.push(one));
    const say = async (from: typeof tester, id: number, hex: string): Promise<void> => {
      from.send(classicFrame(id, fromHex(hex)));
      await clock.advance(2);
    };
    await say(tester, 0x7e1, '100b 340044080000'); // first frame of 11 bytes
    await say(ecu, 0x7e9, '300000');
    await say(tester, 0x7e1, '21 0000000019');
    await say(ecu, 0x7e9, '04 74 20 000c');
    const before = gateway.statistics().received;
    for (const data of ['100c 3601 00000000', '21 000000000000']) await say(tester, 0x7e1, data);
    expect(gateway.statistics().received).toBe(before);
    await say(ecu, 0x7e9, '02 76 01');
    await say(ecu, 0x7e9, '01 77');
    expect(seen.map(({ received }) => received)).toEqual([0, 10, 25]);
    watch.close();
    await say(ecu, 0x7e9, '02 76 02');
    expect(seen).toHaveLength(3);
  });
});
