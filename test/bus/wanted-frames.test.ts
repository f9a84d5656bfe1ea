// What an end of a bus asks its driver for, as subscriptions and monitors come and go.

import { describe, expect, it } from 'vitest';
import { BusEndpoint } from '../../src/bus/bus-endpoint.ts';
import { type CanFilter, exactFilter } from '../../src/bus/can-bus.ts';

class Asking extends BusEndpoint {
  readonly kind = 'simulated';
  readonly name = 'asking';
  readonly fd = false;
  readonly bitrate = undefined;
  readonly dataBitrate = undefined;
  readonly receiveBurst = 1;
  readonly transmitQueue = 1;
  /** Undefined: everything. */
  readonly asked: (readonly CanFilter[] | undefined)[] = [];

  protected override transmit(): void {}
  protected override listening(filters: readonly CanFilter[] | undefined): void {
    this.asked.push(filters);
  }
  protected override async shutDown(): Promise<void> {}
  async wireFacts(): Promise<undefined> {}
}

const ECU = exactFilter(0x7e8, false);
const CGW = exactFilter(0x7e9, false);
const ignore = (): void => {};

describe('an end of a bus', () => {
  it('wants what its subscriptions want, together', () => {
    const bus = new Asking();
    bus.subscribe([ECU], ignore);
    bus.subscribe([CGW], ignore);
    expect(bus.asked).toEqual([[ECU], [ECU, CGW]]);
  });

  it('wants everything for a subscription without filters, and less again when that is closed', () => {
    const bus = new Asking();
    const everything = bus.subscribe([], ignore);
    bus.subscribe([ECU], ignore);
    everything.close();
    expect(bus.asked).toEqual([undefined, undefined, [ECU]]);
  });

  it('wants everything for a monitor, and nothing when all have gone', () => {
    const bus = new Asking();
    const narrow = bus.subscribe([ECU], ignore);
    const monitor = bus.monitor(ignore);
    monitor.close();
    narrow.close();
    narrow.close();
    monitor.close();
    expect(bus.asked).toEqual([[ECU], undefined, [ECU], []]);
  });

  it('asks for nothing more once it is closed', async () => {
    const bus = new Asking();
    const narrow = bus.subscribe([ECU], ignore);
    await bus.close();
    narrow.close();
    bus.subscribe([CGW], ignore);
    expect(bus.asked).toEqual([[ECU]]);
  });
});
