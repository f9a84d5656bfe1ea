// The entry for composition roots: an ECU of the vehicle on a bus.

import type { CanBus } from '../src/bus/can-bus.ts';
import type { Clock } from '../src/core/clock.ts';
import { InputError } from '../src/core/errors.ts';
import type { Logger } from '../src/core/logger.ts';
import type { Random } from '../src/core/random.ts';
import type { Storage } from '../src/core/storage.ts';
import { IsoTpChannel } from '../src/isotp/channel.ts';
import { transportConfig } from '../src/isotp/config.ts';
import { findEcu } from '../src/vehicle/load.ts';
import type { Vehicle, VehicleEcu } from '../src/vehicle/schema.ts';
import { usesProvisionedKey } from '../src/vehicle/security/all.ts';
import { type Connect, Ecu } from './bootloader/bootloader.ts';
import type { EcuEvent } from './bootloader/device.ts';
import { refuseShippedSecret } from './bootloader/diagnostics/security-access.ts';
import { builtInFactoryImage, type FactoryImage } from './bootloader/factory/factory-image.ts';
import { provisioningNeeds } from './bootloader/factory/provisioning-needs.ts';
import type { EcuFaults } from './bootloader/faults.ts';
import type { RoutineRule } from './bootloader/programming/routine-rule.ts';
import { type Motion, MotionWatch } from './motion.ts';
import type { LiveDid, TrafficFrame } from './profile.ts';
import { profileOf } from './profiles.ts';

export interface CreateEcuOptions {
  /** Name of an ECU of the vehicle. */
  readonly name: string;
  readonly vehicle: Vehicle;
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Bus of the ECU; may be missing only with `connect`, and then there is no normal traffic. */
  readonly bus?: CanBus;
  /** Opens the connection; missing: ISO-TP on `bus` as the vehicle file describes. */
  readonly connect?: Connect;
  readonly faults?: EcuFaults;
  /** Image of a new device; missing: a built-in image of 4 KiB, version 1.0.0. */
  readonly factoryImage?: FactoryImage;
  /** Whether a virgin ECU takes the well-known keys of a bench, and secrets that come with can-ota are allowed. */
  readonly benchKeys?: boolean;
  readonly onEvent?: (event: EcuEvent) => void;
  /** Whether to send cyclic frames; default true. */
  readonly normalTraffic?: boolean;
  /** Boot time; default 200 ms. */
  readonly bootMs?: number;
  /** Longest trial; default ten minutes. */
  readonly trialMs?: number;
  /** Number of trial boots; default three. */
  readonly trialBoots?: number;
  /** maxNumberOfBlockLength; default 0xFFF, one segmented message with a 12 bit length. */
  readonly maxBlockLength?: number;
  /** Bytes between durable points of a download; default 32 KiB, less than a second at 500 kbit/s. */
  readonly checkpointBytes?: number;
  readonly routines?: Readonly<Record<number, RoutineRule>>;
  /** Live values in addition to those of its profile. */
  readonly live?: readonly LiveDid[];
  /** Frames in addition to those of its profile. */
  readonly traffic?: readonly TrafficFrame[];
  /** Motion of the vehicle; missing: from the gateway's frame on the bus; without a bus the vehicle stands. */
  readonly motion?: Motion;
}

/**
 * Creates and starts an ECU. Throws InputError for an ECU that is not in the vehicle file, and for a public secret
 * there; StorageError when its folder cannot be used.
 */
export async function createEcu(options: CreateEcuOptions): Promise<Ecu> {
  const { name, vehicle, bus } = options;
  const ecu = asBuilt(findEcu(vehicle, name));
  const benchKeys = options.benchKeys === true;
  if (!benchKeys && usesProvisionedKey(ecu.security)) {
    refuseShippedSecret(ecu.security.secret, `security.secret of ${name}`);
  }
  const maxBlockLength = options.maxBlockLength ?? 0xfff;
  const connect = options.connect ?? channelsOn(ecu, bus, options.clock, maxBlockLength);
  const profile = profileOf(name);
  return Ecu.start({
    ecu,
    vin: vehicle.vin,
    profile: {
      ...profile,
      live: [...(options.live ?? []), ...profile.live],
      traffic: [...profile.traffic, ...(options.traffic ?? [])],
    },
    motion: options.motion ?? (bus && new MotionWatch(bus, options.clock)),
    connect,
    trafficBus: options.normalTraffic === false ? undefined : bus,
    storage: options.storage,
    clock: options.clock,
    random: options.random,
    logger: options.logger,
    faults: options.faults ?? {},
    factoryImage: options.factoryImage ?? builtInFactoryImage(name),
    benchKeys,
    needs: provisioningNeeds(name, ecu.security, vehicle.approval),
    onEvent: options.onEvent,
    routines: options.routines ?? {},
    bootMs: options.bootMs ?? 200,
    trialMs: options.trialMs ?? 600_000,
    trialBoots: options.trialBoots ?? 3,
    maxBlockLength,
    checkpointBytes: options.checkpointBytes ?? 32 * 1024,
  });
}

/** An ECU that activates its image by a reset has one bank, even if the vehicle file describes more. */
function asBuilt(ecu: VehicleEcu): VehicleEcu {
  return ecu.programming.activation === 'reset'
    ? { ...ecu, memory: { ...ecu.memory, banks: 1 } }
    : ecu;
}

/**
 * Least limit of a request: the driver's approval is the longest one besides TransferData, and 12 bit lengths allow it.
 */
const SHORTEST_MAX_MESSAGE = 0xfff;

function channelsOn(
  ecu: VehicleEcu,
  bus: CanBus | undefined,
  clock: Clock,
  maxBlockLength: number,
): Connect {
  if (bus === undefined) throw new InputError(ecu.name, 'needs a bus or a way to connect');
  const config = {
    ...transportConfig(ecu),
    maxMessageLength: Math.max(SHORTEST_MAX_MESSAGE, maxBlockLength),
  };
  return (address, { functional }) =>
    new IsoTpChannel({
      bus,
      clock,
      address,
      config,
      kind: functional ? 'functional' : 'physical',
    });
}
