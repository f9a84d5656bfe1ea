// A factory for tests: a vehicle of real ECUs, a registry in memory, interruptions.

import { fromHex, toHex } from '../../src/core/bytes.ts';
import type { FirstImage } from '../../src/drivers/first-image.ts';
import { Provisioner } from '../../src/drivers/provisioner.ts';
import {
  type ProvisionEvent,
  type ProvisionOutcome,
  provisionVehicle,
} from '../../src/factory/provision.ts';
import type { DeviceRegistration, Registry, RegistryAnswer } from '../../src/factory/registry.ts';
import type { TrustAnchors } from '../../src/factory/trust-anchors.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { benchWorld } from '../../src/trust/bench-keys.ts';
import { parseIdentity } from '../../src/trust/identity-file.ts';
import type { UdsRequester } from '../../src/uds/reply.ts';
import { findEcu } from '../../src/vehicle/load.ts';
import { type Vehicle, vehicleSchema } from '../../src/vehicle/schema.ts';
import { EcuLink } from '../drivers/ecu-link.ts';
import { FaultStorage } from '../support/fault-storage.ts';

export const VIN = '1CANXTABENCH00001';
const ecu = (name: string, index: number, change: object = {}): object => ({
  name,
  hardwareId: `${name}-HW-1`,
  address: { mode: 'normal', request: 0x7e0 + index, response: 0x7e8 + index, functional: 0x7df },
  memory: { bankSize: 65536 },
  security: { algorithm: 'hmac-sha256' },
  ...change,
});

/** Two ECUs of ours, and one of another make. */
export const VEHICLE: Vehicle = vehicleSchema.parse({
  vin: VIN,
  buses: { main: {} },
  approval: { ecu: 'CGW' },
  ecus: [ecu('CGW', 0), ecu('EDT', 1), ecu('ENGINE', 2, { programming: 'standard' })],
});

export const ANCHORS: TrustAnchors = {
  director: { bytes: benchWorld().directorRoot, version: 1 },
  images: { bytes: benchWorld().imagesRoot, version: 1 },
};

export const TMU_ID = '0123456789abcdef0123456789abcdef';

interface Device extends DeviceRegistration {
  readonly serial: string;
  status: 'factory_only' | 'active';
}

/** The rules of the real one: idempotent, serials in order, an active device keeps its keys. */
class MemoryRegistry implements Registry {
  readonly devices = new Map<string, Device>();
  /** Fails the n-th call, counted from 1. */
  failAt = 0;
  #calls = 0;

  async provision(facts: DeviceRegistration): Promise<RegistryAnswer> {
    if (++this.#calls === this.failAt) return unreachable;
    const known = this.devices.get(facts.hwId);
    const changed = Object.entries(facts).some(
      ([field, value]) =>
        value !== undefined && known?.[field as keyof DeviceRegistration] !== value,
    );
    if (known?.status === 'active' && changed) {
      return { ok: false, code: 'DEVICE_ACTIVE', reason: `${known.serial} is active` };
    }
    const device: Device = {
      serial: `CO-${String(this.devices.size + 1).padStart(6, '0')}`,
      status: 'factory_only',
      ...known,
      ...facts,
    };
    this.devices.set(facts.hwId, device);
    return { ok: true, value: device };
  }

  async activate(hwId: string): Promise<RegistryAnswer> {
    if (++this.#calls === this.failAt) return unreachable;
    const device = this.devices.get(hwId)!;
    device.status = 'active';
    return { ok: true, value: device };
  }

  get calls(): number {
    return this.#calls;
  }

  named(name: string): Device {
    return [...this.devices.values()].find((device) => device.name === name)!;
  }
}

const unreachable = { ok: false, code: 'UNREACHABLE', reason: 'nobody is there' } as const;

export class Factory {
  readonly clock = new VirtualClock();
  readonly registry = new MemoryRegistry();
  readonly links = new Map<string, EcuLink>();
  readonly events: ProvisionEvent[] = [];
  storage = new FaultStorage();
  vehicle = VEHICLE;
  /** Requests (hexadecimal, from their beginning) that are not heard; each is taken off when it was lost. */
  readonly lost: string[] = [];
  images: ReadonlyMap<string, FirstImage> = new Map();

  static async start(hardwareId?: string): Promise<Factory> {
    const factory = new Factory();
    for (const name of ['CGW', 'EDT'])
      await factory.fit(name, name === 'EDT' ? hardwareId : undefined);
    return factory;
  }

  /** A new part. */
  async fit(name: string, hardwareId?: string): Promise<void> {
    const seed = name.charCodeAt(0) + 100 * this.links.size;
    const link = await EcuLink.start(VEHICLE, name, this.clock, {
      random: seededRandom(seed),
      benchKeys: false,
      ...(hardwareId !== undefined && { faults: { hardwareId } }),
      ...(name === 'CGW' && { approve: 'no' as const }),
    });
    this.links.get(name)?.ecu?.close();
    this.links.set(name, link);
  }

  async provision(names = ['CGW', 'EDT', 'ENGINE'], anchors = ANCHORS): Promise<ProvisionOutcome> {
    const { clock, registry, storage, events, vehicle, images } = this;
    const random = seededRandom(3 + registry.calls);
    // What was on the bus when the last run was stopped belongs to nobody.
    await clock.advance(200);
    const run = provisionVehicle({
      vehicle,
      names,
      images,
      deviceId: TMU_ID,
      anchors,
      registry,
      storage,
      random,
      provisionerFor: (name, onStep) => {
        const requester = this.#lossy(this.links.get(name)!.client);
        return new Provisioner({ ecu: findEcu(vehicle, name), requester, clock, random, onStep });
      },
      onEvent: (event) => events.push(event),
    });
    return clock.within(60_000, run);
  }

  #lossy(client: UdsRequester): UdsRequester {
    return {
      broadcast: (request) => client.broadcast(request),
      keepAlive: (whom) => client.keepAlive(whom),
      request: async (request, options) => {
        const at = this.lost.findIndex((start) => toHex(request).startsWith(start.toLowerCase()));
        if (at < 0) return client.request(request, options);
        this.lost.splice(at, 1);
        return { kind: 'transport', result: 'N_TIMEOUT_Bs', reason: 'no flow control' };
      },
    };
  }

  get identity() {
    const bytes = this.storage.contents('identity.json');
    return parseIdentity(Buffer.from(bytes!).toString(), 'identity.json');
  }

  async read(name: string, did: string): Promise<string> {
    const { client } = this.links.get(name)!;
    const reply = await this.clock.within(1000, client.request(fromHex(`22${did}`)));
    return reply.kind === 'positive' ? toHex(reply.data.subarray(3)) : reply.kind;
  }
}
