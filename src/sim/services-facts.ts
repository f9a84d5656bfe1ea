// Configuration, commands and telemetry of one vehicle, read from the backend's tables and the disks of TMU and inverter.

import { z } from 'zod';
import type { SimulatedServer } from './simulated-server.ts';
import { type SimulatedVehicle, TMU } from './simulated-vehicle.ts';
import { sealed } from './vehicle-contents.ts';

/** The ECU that gets commands; its routine counts its runs, and it keeps a value. */
const INVERTER = 'INV';
const CALIBRATION = '0230';
const POWER_LIMIT = 'fd50';

const OPEN = new Set(['pending', 'delivered', 'executing']);

const nvSchema = z.object({
  values: z.record(z.string(), z.string()),
  runs: z.record(z.string(), z.number()),
});
const configurationFile = z.object({ inForce: z.record(z.string(), z.unknown()) });

export interface CommandRow {
  readonly id: string;
  readonly action: string;
  readonly arguments: string;
  readonly state: string;
  readonly code: string | null;
  readonly runs: number;
  readonly vehicle_at: string | null;
}

/** Content of the tables and disks. */
export interface ServicesFacts {
  readonly commands: readonly CommandRow[];
  readonly inverter: {
    /** Number since the episode began. */
    readonly calibrations: number;
    /** In tenths of a kilowatt. */
    readonly powerLimit: number;
  };
  /** The last configuration: what the backend was told is in force (JSON), and what the vehicle holds. */
  readonly configuration: { readonly told: string | null; readonly held: unknown } | undefined;
  readonly senders: readonly {
    readonly sender: string;
    readonly highest: number;
    readonly batches: number;
    readonly lost: number;
  }[];
  /** A sample that arrived more than once. */
  readonly twice: { readonly did: string; readonly at: string } | undefined;
}

export class ServicesView {
  readonly #vehicle: SimulatedVehicle;
  readonly #server: SimulatedServer;
  /** Runs of the inverter before the episode began: it may have run earlier. */
  readonly #runsBefore: number;

  constructor(vehicle: SimulatedVehicle, server: SimulatedServer) {
    this.#vehicle = vehicle;
    this.#server = server;
    this.#runsBefore = this.#runs();
  }

  /** Whether every command has ended and the vehicle has answered the last configuration. */
  get settled(): boolean {
    return this.unsettled === undefined;
  }

  /** What is still open, as text. */
  get unsettled(): string | undefined {
    const open = this.#commands().find(({ state }) => OPEN.has(state));
    if (open !== undefined) return `command ${open.id} (${open.action}) is ${open.state}`;
    const last = this.#lastConfiguration();
    return last === undefined || last.results !== null
      ? undefined
      : `configuration ${last.version} was never answered`;
  }

  facts(): ServicesFacts {
    const { vin } = this.#vehicle;
    const { database } = this.#server;
    const last = this.#lastConfiguration();
    return {
      commands: this.#commands(),
      inverter: {
        calibrations: this.#runs() - this.#runsBefore,
        powerLimit: Number.parseInt(this.#nv()?.values[POWER_LIMIT] ?? '', 16),
      },
      configuration:
        last === undefined ? undefined : { told: last.in_force, held: this.#heldConfiguration() },
      senders: database
        .prepare('select sender, highest, batches, lost from telemetry_senders where vin = ?')
        .all(vin) as unknown as ServicesFacts['senders'],
      twice: database
        .prepare(
          'select did, at from telemetry_samples where vin = ? group by did, at having count(*) > 1 limit 1',
        )
        .get(vin) as unknown as ServicesFacts['twice'],
    };
  }

  #heldConfiguration(): unknown {
    const bytes = this.#vehicle.machine(TMU).disk.contents('config.json');
    const held = bytes === undefined ? undefined : JSON.parse(new TextDecoder().decode(bytes));
    return configurationFile.safeParse(held).data?.inForce;
  }

  #commands(): readonly CommandRow[] {
    return this.#server.database
      .prepare(
        'select id, action, arguments, state, code, runs, vehicle_at from commands where vin = ? order by id',
      )
      .all(this.#vehicle.vin) as unknown as CommandRow[];
  }

  #lastConfiguration() {
    return this.#server.database
      .prepare(
        'select version, results, in_force from configurations where vin = ? order by version desc limit 1',
      )
      .get(this.#vehicle.vin) as unknown as
      | { version: number; results: string | null; in_force: string | null }
      | undefined;
  }

  #runs(): number {
    return this.#nv()?.runs[CALIBRATION] ?? 0;
  }

  #nv(): z.output<typeof nvSchema> | undefined {
    const { disk } = this.#vehicle.machine(INVERTER);
    return sealed(disk.contents('nv'), nvSchema);
  }
}
