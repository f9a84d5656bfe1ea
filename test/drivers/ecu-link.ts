// A simulated ECU of ours behind a real UDS client, without frames: messages pass on virtual time.

import type { Connect, Ecu } from '../../ecus/bootloader/bootloader.ts';
import type { EcuEvent } from '../../ecus/bootloader/device.ts';
import { type CreateCgwOptions, createCgw } from '../../ecus/cgw/create-cgw.ts';
import { type CreateEcuOptions, createEcu } from '../../ecus/create-ecu.ts';
import type { DriverResult, EcuDriver, Target } from '../../src/campaign/ports.ts';
import { runSingle, type SingleOptions, type SingleResult } from '../../src/campaign/single.ts';
import { toHex } from '../../src/core/bytes.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import type { OrderAuthority } from '../../src/drivers/secured-requester.ts';
import type { ImageSource } from '../../src/image/image-source.ts';
import type { ConnectionListener, IsoTpConnection } from '../../src/isotp/connection.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import type { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { UdsClient } from '../../src/uds/client.ts';
import { findEcu } from '../../src/vehicle/load.ts';
import type { Vehicle, VehicleEcu } from '../../src/vehicle/schema.ts';
import { bundleOf, CAMPAIGN } from '../support/ecu-bench.ts';
import { FaultStorage } from '../support/fault-storage.ts';
import { benchTesterKey } from '../support/secured-message.ts';

/** The image as both repositories of the bench sign it, for whatever the ECU trusts at that moment. */
export function signedTarget(
  clock: VirtualClock,
  name: string,
  image: ImageSource,
  version: string,
  counter = 1,
): Target {
  const { length, sha256 } = image;
  const release = { name, version, length, sha256, counter };
  return {
    campaign: CAMPAIGN,
    version,
    image,
    metadata: async (state) => ({ ok: true, value: bundleOf(release, state, clock.wallMs()) }),
  };
}

/** By which the bench's TMU gives orders to this ECU of the bench. */
export function benchAuthority(name: string): OrderAuthority {
  return { role: 'tester', key: benchTesterKey(name) };
}

/** As a campaign of this one ECU confirms it, with its own commitment; the value is its receipt. */
export async function confirmAlone(
  driver: EcuDriver,
  target: Target,
): Promise<DriverResult<string | undefined>> {
  const verified = await driver.verify(target, { knownDtcs: undefined, heartbeatMs: 0 });
  if (!verified.ok) return verified;
  const { commitment } = verified.value;
  return driver.confirm(target, commitment === undefined ? [] : [commitment]);
}

/** Confirms once more, which changes nothing and tells the receipt, and commits with it. */
export async function commitAlone(driver: EcuDriver, target: Target): Promise<DriverResult<void>> {
  const confirmed = await confirmAlone(driver, target);
  if (!confirmed.ok) return confirmed;
  return driver.commit(target, confirmed.value === undefined ? [] : [confirmed.value]);
}

/** As `can-ota flash` does it. */
export function programOne(
  link: EcuLink,
  ecu: VehicleEcu,
  target: Target,
  more: Partial<SingleOptions> = {},
): Promise<SingleResult> {
  return runSingle({
    driver: new UdsEcuDriver({
      ecu,
      requester: link.client,
      clock: link.clock,
      authority: benchAuthority(ecu.name),
    }),
    ecu,
    hasOneBank: ecu.programming.activation === 'reset',
    target,
    clock: link.clock,
    random: seededRandom(7),
    ...more,
  });
}

interface End {
  readonly functional: boolean;
  listener: ConnectionListener | undefined;
  open: boolean;
}

/** One ECU, its disk, and the tester's client. */
export class EcuLink {
  readonly clock: VirtualClock;
  readonly client: UdsClient;
  readonly events: EcuEvent[] = [];
  /** Requests that left the tester. */
  readonly requests: string[] = [];
  readonly connect: Connect;
  storage: FaultStorage;
  ecu: Ecu | undefined;
  /** Sees every request; true: it is lost on the way. */
  loses: ((request: string) => boolean) | undefined;
  /** Sees every answer; another one may be put in its place, or none. */
  changes: ((answer: Uint8Array) => Uint8Array | undefined) | undefined;
  #ends: End[] = [];
  #tester: ConnectionListener | undefined;

  constructor(vehicle: Vehicle, name: string, clock: VirtualClock, storage = new FaultStorage()) {
    this.clock = clock;
    this.storage = storage;
    const { timing } = findEcu(vehicle, name);
    this.connect = (_address, { functional }) => this.#ecuEnd(functional);
    this.client = new UdsClient({
      connection: this.#testerEnd(false),
      functional: this.#testerEnd(true),
      clock,
      timing,
    });
  }

  static async start(
    vehicle: Vehicle,
    name: string,
    clock: VirtualClock,
    options: Partial<CreateEcuOptions> & {
      readonly storage?: FaultStorage;
      readonly approve?: CreateCgwOptions['approve'];
      readonly terminal?: CreateCgwOptions['terminal'];
    } = {},
  ): Promise<EcuLink> {
    const { storage, approve, terminal, ...rest } = options;
    const link = new EcuLink(vehicle, name, clock, storage);
    const common = {
      name,
      vehicle,
      storage: link.storage,
      clock,
      random: seededRandom(name.charCodeAt(0)),
      logger: silentLogger,
      connect: link.connect,
      benchKeys: true,
      onEvent: (event: EcuEvent) => link.events.push(event),
      ...rest,
    };
    const booting =
      approve === undefined
        ? createEcu(common)
        : createCgw({ ...common, approve, terminal }).then(({ ecu }) => ecu);
    link.ecu = await clock.within(60_000, booting);
    return link;
  }

  /** A node answers the tester in the place of this ECU, now. */
  inject(answer: Uint8Array): void {
    this.#tester?.onMessage(Uint8Array.from(answer), this.clock.nowMs());
  }

  /** A node sends this ECU a request beside the tester; the answer goes to whoever waits for one. */
  request(request: Uint8Array): void {
    const end = this.#ends.findLast((each) => each.open && !each.functional);
    end?.listener?.onMessage(Uint8Array.from(request), this.clock.nowMs());
  }

  #testerEnd(functional: boolean): IsoTpConnection {
    return {
      listen: (listener) => {
        if (!functional) this.#tester = listener;
      },
      send: (message, done) => {
        const hex = toHex(message).toUpperCase();
        this.requests.push(functional ? `*${hex}` : hex);
        this.clock.after('wire', 1 + message.length * 0.02, () => {
          done?.({ result: 'N_OK', atMs: this.clock.nowMs(), reason: 'sent' });
          if (this.loses?.(hex)) return;
          const end = this.#ends.findLast((each) => each.open && each.functional === functional);
          end?.listener?.onMessage(Uint8Array.from(message), this.clock.nowMs());
        });
      },
      close: () => {},
    };
  }

  #ecuEnd(functional: boolean): IsoTpConnection {
    const end: End = { functional, listener: undefined, open: true };
    this.#ends.push(end);
    return {
      listen: (listener) => {
        end.listener = listener;
      },
      send: (message, done) => {
        if (!end.open) {
          done?.({ result: 'CLOSED', atMs: this.clock.nowMs(), reason: 'closed' });
          return;
        }
        this.clock.after('wire', 1, () => {
          done?.({ result: 'N_OK', atMs: this.clock.nowMs(), reason: 'sent' });
          const answer = this.changes === undefined ? message : this.changes(message);
          if (answer === undefined) return;
          this.#tester?.onMessage(Uint8Array.from(answer), this.clock.nowMs());
        });
      },
      close: () => {
        end.open = false;
      },
    };
  }
}
