// Watches configuration, commands and telemetry of one vehicle: the backend's tables against what the disks of TMU and inverter hold.

import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { SimulatedServer } from './simulated-server.ts';
import { type SimulatedVehicle, TMU } from './simulated-vehicle.ts';
import { sealed } from './truth.ts';

/** The ECU that is worth commanding, its routine that counts its runs, and the value that it keeps. */
const INVERTER = 'INV';
const CALIBRATION = '0230';
const POWER_LIMIT = 'fd50';

const OPEN = new Set(['pending', 'delivered', 'executing']);

const nvSchema = z.object({
  values: z.record(z.string(), z.string()),
  runs: z.record(z.string(), z.number()),
});
const configurationFile = z.object({ inForce: z.record(z.string(), z.unknown()) });

interface CommandRow {
  readonly id: string;
  readonly action: string;
  readonly arguments: string;
  readonly state: string;
  readonly code: string | null;
  readonly runs: number;
  readonly vehicle_at: string | null;
}

export interface ServicesFault {
  readonly invariant: 'command' | 'configuration' | 'telemetry';
  readonly text: string;
}

export class ServicesWitness {
  readonly #vehicle: SimulatedVehicle;
  readonly #server: SimulatedServer;
  /** Of the inverter when the episode began: it may have had a life before. */
  readonly #runsBefore: number;

  constructor(vehicle: SimulatedVehicle, server: SimulatedServer) {
    this.#vehicle = vehicle;
    this.#server = server;
    this.#runsBefore = this.#runs();
  }

  /** Nothing is open: every command is over, and the vehicle has answered the last configuration. */
  get settled(): boolean {
    return this.unsettled === undefined;
  }

  /** What is still open, for people. */
  get unsettled(): string | undefined {
    const open = this.#commands().find(({ state }) => OPEN.has(state));
    if (open !== undefined) return `command ${open.id} (${open.action}) is ${open.state}`;
    const last = this.#lastConfiguration();
    return last === undefined || last.results !== null
      ? undefined
      : `configuration ${last.version} was never answered`;
  }

  /** What must not be, once everything is settled. */
  faults(): readonly ServicesFault[] {
    return [...this.#commandFaults(), ...this.#configurationFaults(), ...this.#telemetryFaults()];
  }

  *#commandFaults(): Generator<ServicesFault> {
    const commands = this.#commands();
    for (const { id, state, runs } of commands) {
      if (runs > 1 || (state === 'completed' && runs !== 1)) {
        yield { invariant: 'command', text: `command ${id} is ${state} after ${runs} runs` };
      }
    }
    const calibrations = commands.filter(({ action }) => action === 'calibrate');
    const done = calibrations.filter(({ state }) => state === 'completed').length;
    const perhaps = calibrations.filter(({ code }) => code === 'IN_DOUBT').length;
    const really = this.#runs() - this.#runsBefore;
    if (really < done || really > done + perhaps) {
      const text = `${INVERTER} was calibrated ${really} times, ${done} commands say that it was, ${perhaps} that it may have been`;
      yield { invariant: 'command', text };
    }
    yield* this.#powerLimit(commands.filter(({ action }) => action === 'setPowerLimit'));
  }

  /** The last one that was done counts, unless a later one may have been done, too. */
  *#powerLimit(commands: readonly CommandRow[]): Generator<ServicesFault> {
    const told = commands
      .filter(({ state, code }) => state === 'completed' || code === 'IN_DOUBT')
      .sort((a, b) => ((a.vehicle_at ?? '') < (b.vehicle_at ?? '') ? -1 : 1));
    const last = told.findLastIndex(({ state }) => state === 'completed');
    if (last < 0) return;
    const possible = told.slice(last).map((row) => {
      const { power } = JSON.parse(row.arguments) as { power: number };
      return Math.round(power * 10);
    });
    const held = Number.parseInt(this.#nv()?.values[POWER_LIMIT] ?? '', 16);
    if (!possible.includes(held)) {
      const text = `${INVERTER} is limited to ${held / 10} kW, ordered were ${possible.map((value) => value / 10).join(' or ')}`;
      yield { invariant: 'command', text };
    }
  }

  *#configurationFaults(): Generator<ServicesFault> {
    const last = this.#lastConfiguration();
    if (last?.in_force == null) return;
    const bytes = this.#vehicle.machine(TMU).disk.contents('config.json');
    const told = JSON.parse(last.in_force) as unknown;
    const held = bytes === undefined ? undefined : JSON.parse(new TextDecoder().decode(bytes));
    const parsed = configurationFile.safeParse(held);
    if (!parsed.success || !isDeepStrictEqual(parsed.data.inForce, told)) {
      const text = `the backend was told of ${last.in_force}, the vehicle holds ${JSON.stringify(parsed.data?.inForce)}`;
      yield { invariant: 'configuration', text };
    }
  }

  *#telemetryFaults(): Generator<ServicesFault> {
    const { vin } = this.#vehicle;
    const senders = this.#server.database
      .prepare('select sender, highest, batches, lost from telemetry_senders where vin = ?')
      .all(vin) as unknown as { sender: string; highest: number; batches: number; lost: number }[];
    for (const { sender, highest, batches, lost } of senders) {
      if (lost === 0 && batches === highest) continue;
      const text = `of ${highest} batches of ${sender} the backend has taken ${batches}, ${lost} are lost`;
      yield { invariant: 'telemetry', text };
    }
    const twice = this.#server.database
      .prepare(
        'select did, at from telemetry_samples where vin = ? group by did, at having count(*) > 1 limit 1',
      )
      .get(vin) as unknown as { did: string; at: string } | undefined;
    if (twice !== undefined) {
      yield { invariant: 'telemetry', text: `${twice.did} of ${twice.at} came twice` };
    }
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
