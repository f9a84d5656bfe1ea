// Campaigns with kills: TMU, CGW, ECUs and server are killed by SIGKILL at random moments, and then the disks are checked.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { historyOf } from '../../../src/campaign/history.ts';
import { decodeJournal } from '../../../src/campaign/journal.ts';
import { replay } from '../../../src/campaign/reducer.ts';
import type { CampaignState } from '../../../src/campaign/state.ts';
import { readJournals } from '../../../src/cli/state/state-folder.ts';
import { seededRandom } from '../../../src/sim/seeded-random.ts';
import { type EcuFiles, readCounter, readEcu, readRuns } from './ecu-files.ts';
import { freePort } from './http.ts';
import { type Json, type Run, start } from './processes.ts';
import {
  type Image,
  image,
  startTmu,
  type TestBackend,
  TestFactory,
  type TestVehicle,
} from './vehicle.ts';

const ECUS = ['EDT', 'INV'] as const;
type Ecu = (typeof ECUS)[number];
type ByEcu<T> = Readonly<Record<Ecu, T>>;
type Victim = 'TMU' | 'CGW' | Ecu | 'SERVER';
/** Processes that are killed; those that hold the software are killed most often. */
const VICTIMS: readonly Victim[] = ['TMU', 'TMU', 'CGW', ...ECUS, ...ECUS, 'SERVER'];

/**
 * Aims in the order of a campaign: a kill comes at a random moment after the campaign has reached a phase. `withinMs`
 * covers the phase and a little more. The first aim is rare: a kill before anything has begun only delays the campaign.
 */
interface Aim {
  readonly state: CampaignState['kind'];
  readonly withinMs: number;
}
const AIMS: readonly Aim[] = [
  { state: 'checking', withinMs: 1500 },
  { state: 'staging', withinMs: 1500 },
  { state: 'staging', withinMs: 1500 },
  { state: 'activating', withinMs: 600 },
  { state: 'verifying', withinMs: 2500 },
  { state: 'verifying', withinMs: 2500 },
  { state: 'committing', withinMs: 400 },
];
/** Used after a kill that leads to a rollback. */
const AIM_AT_WAY_BACK: Aim = { state: 'rolling-back', withinMs: 1500 };
/** How long a phase is waited for; the TMU also waits for silent ECUs. */
const AIM_MS = 8000;

/** Outcomes after which a campaign has ended; after any other outcome the TMU checks once more. */
const SETTLED: ReadonlySet<unknown> = new Set([
  'SUCCESS',
  'UP_TO_DATE',
  'ROLLBACK_COMPLETED',
  'PRECONDITION_FAILED',
  'SECURITY_VALIDATION_FAILED',
]);
/** A vehicle that is not settled after this many undisturbed cycles counts as stuck. */
const PATIENCE_CYCLES = 12;
const VIN = '1CANXTABENCH00001';
/** The routine of the inverter that a command starts. */
const CALIBRATION = '0230';

export interface FireOptions {
  readonly seed: string;
  /** Kills that are left; vehicles that share this object continue until it is 0. */
  readonly shots: { left: number };
  /** Largest number of kills within one campaign. */
  readonly perCampaign: number;
  /** bytes */
  readonly imageBytes: number;
  /** Time between two checks of the ECUs' files. */
  readonly glanceMs: number;
  /** The bus specification of all processes. */
  readonly bus: string;
}

export interface FireReport {
  readonly kills: Readonly<Record<Victim, number>>;
  /** Number of kills by the state in the journal at that moment. */
  readonly states: Readonly<Record<string, number>>;
  /** Number of commands by their final state. */
  readonly commands: Readonly<Record<string, number>>;
  readonly campaigns: number;
  /** Outcomes with their codes. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Empty when every invariant held. */
  readonly violations: readonly string[];
  /** Log of events; empty when every invariant held. */
  readonly log: readonly string[];
}

export async function underFire(options: FireOptions): Promise<FireReport> {
  const fire = await Fire.open(options);
  return fire.run();
}

/** Prints the figures of a run, and the whole log after a failure. */
export function tell(what: string, { log, ...figures }: FireReport): void {
  const lines = [`kill -9, ${what}: ${JSON.stringify(figures)}`, ...log];
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** What each ECU runs between two campaigns. */
interface Standing {
  readonly files: ByEcu<EcuFiles>;
  readonly counters: ByEcu<number>;
}

class Fire {
  readonly #options: FireOptions;
  readonly #random: ReturnType<typeof seededRandom>;
  readonly #vehicle: TestVehicle;
  readonly #port: number;
  readonly #state: string;
  readonly #running = new Map<Victim, Run>();
  readonly #kills: Record<Victim, number> = { TMU: 0, CGW: 0, EDT: 0, INV: 0, SERVER: 0 };
  readonly #states: Record<string, number> = {};
  readonly #outcomes: Record<string, number> = {};
  readonly #commands: Record<string, number> = {};
  readonly #violations = new Set<string>();
  /** Everything that an ECU may ever run, by SHA-256. */
  readonly #allowed: ByEcu<Set<string>> = { EDT: new Set(), INV: new Set() };
  readonly #backend: TestBackend;
  /** State when the campaign began. */
  #before: Standing;
  #version = '';
  #images: readonly Image[] = [];
  #aim: Aim | undefined;
  readonly #log: string[] = [];

  private constructor(
    options: FireOptions,
    vehicle: TestVehicle,
    backend: TestBackend,
    port: number,
    state: string,
    before: Standing,
  ) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    this.#vehicle = vehicle;
    this.#backend = backend;
    this.#port = port;
    this.#state = state;
    this.#before = before;
    for (const ecu of ECUS) this.#allowed[ecu].add(before.files[ecu].sha256);
    for (const [name, run] of vehicle.ecus) this.#running.set(name as Victim, run);
    this.#running.set('SERVER', backend.process);
  }

  static async open(options: FireOptions): Promise<Fire> {
    const factory = await TestFactory.open(['CGW', ...ECUS]);
    const port = await freePort();
    const backend = await factory.backend({ port });
    const vehicle = await factory.vehicle({ bus: options.bus });
    const before = await standing(vehicle);
    return new Fire(options, vehicle, backend, port, await factory.state(), before);
  }

  async run(): Promise<FireReport> {
    const { shots, perCampaign } = this.#options;
    let campaigns = 0;
    for (; shots.left > 0; campaigns++) {
      await this.#release(`2.${campaigns}.0`);
      const stopWatching = this.#watch();
      await this.#startTmu().event({ kind: 'state' });
      await this.#command();
      const count = 1 + Math.floor(this.#random.fraction() * perCampaign);
      const aims = Array.from({ length: count }, () => this.#pick(AIMS));
      // A kill at the end of a campaign leaves nothing to hit for earlier aims.
      aims.sort((a, b) => AIMS.indexOf(a) - AIMS.indexOf(b));
      for (const aim of aims) {
        if (shots.left === 0 || !(await this.#shoot(aim))) break;
      }
      await this.#settle();
      await stopWatching();
      await this.#judge();
      await this.#command();
    }
    // Shows that the vehicle still works: without kills the next update succeeds.
    await this.#release('3.0.0');
    const outcome = await this.#settle();
    if (outcome !== 'SUCCESS') this.#violated(`the last update, undisturbed, ended ${outcome}`);
    await this.#judge();
    await this.#judgeReports();
    await this.#judgeCommands();
    return {
      kills: this.#kills,
      states: this.#states,
      commands: this.#commands,
      campaigns,
      outcomes: this.#outcomes,
      violations: [...this.#violations],
      log: this.#violations.size === 0 ? [] : this.#log,
    };
  }

  async #release(version: string): Promise<void> {
    const { imageBytes } = this.#options;
    this.#version = version;
    this.#images = await Promise.all(
      ECUS.map((ecu) =>
        image(ecu, imageBytes, version, Buffer.from(this.#random.bytes(imageBytes))),
      ),
    );
    for (const { sha256, ecu } of this.#images) this.#allowed[ecu as Ecu].add(sha256);
    await this.#backend.release(...this.#images);
  }

  /**
   * The inverter counts its calibrations, whichever process is killed meanwhile. The server may not run when the command
   * is sent.
   */
  async #command(): Promise<void> {
    const order = { ecu: 'INV', action: 'calibrate' };
    try {
      const headers = {
        ...(await this.#backend.logIn()),
        accept: 'application/json',
        'content-type': 'application/json',
      };
      const url = `${this.#backend.url}/commands/${VIN}`;
      const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(order) });
      this.#log.push(`${this.#version}, calibration ordered: ${answer.status}`);
      await answer.body?.cancel();
    } catch (error) {
      this.#log.push(`${this.#version}, no calibration ordered: ${error}`);
    }
  }

  #startTmu(more: readonly string[] = ['--poll', '1', '--sync', '1']): Run {
    const tmu = startTmu({
      vehicle: this.#vehicle,
      server: `http://127.0.0.1:${this.#port}`,
      state: this.#state,
      more,
    });
    this.#running.set('TMU', tmu);
    return tmu;
  }

  /** False when the campaign has ended: no process was killed. */
  async #shoot(aim: Aim): Promise<boolean> {
    const { state, withinMs } = this.#aim ?? aim;
    this.#aim = undefined;
    const victim = this.#pick(VICTIMS);
    const waitMs = this.#random.fraction() * withinMs;
    const tmu = this.#running.get('TMU')!;
    const isOver = (): boolean => tmu.events.some(({ kind }) => kind === 'next-poll');
    const aimed = tmu.event({ kind: 'state', state });
    const over = tmu.event({ kind: 'next-poll' });
    await Promise.race([aimed.catch(() => {}), over.catch(() => {}), pause(AIM_MS)]);
    await pause(waitMs);
    if (isOver() || this.#options.shots.left === 0) return false;
    this.#options.shots.left--;
    const run = this.#running.get(victim)!;
    run.kill('SIGKILL');
    await run.exited;
    this.#kills[victim]++;
    const { kind } = await this.#journalState();
    if ((kind === 'activating' || kind === 'verifying') && (victim === 'EDT' || victim === 'INV')) {
      this.#aim = AIM_AT_WAY_BACK;
    }
    this.#states[kind] = (this.#states[kind] ?? 0) + 1;
    const at = `${this.#version}, ${victim} killed in ${kind}`;
    this.#log.push(at);
    await this.#glance(at);
    await this.#restart(victim);
    return true;
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.#random.fraction() * choices.length)]!;
  }

  async #restart(victim: Victim): Promise<void> {
    switch (victim) {
      case 'TMU': {
        // Before it has read its journal there is nothing to hit.
        await this.#startTmu().event({ kind: 'state' });
        return;
      }
      case 'SERVER': {
        const server = start([...this.#backend.process.args], { supervised: true });
        await server.ready;
        this.#running.set('SERVER', server);
        return;
      }
      default: {
        const { args } = this.#running.get(victim)!;
        const ecu = start(args, { supervised: true, keepInput: victim === 'CGW' });
        await ecu.ready;
        this.#running.set(victim, ecu);
      }
    }
  }

  /** No more kills: a running process may end by itself, otherwise cycles run until the campaign has an outcome. */
  async #settle(): Promise<string> {
    const daemon = this.#running.get('TMU')!;
    if (daemon.exit === undefined) {
      const ended = await daemon.event({ kind: 'outcome' });
      daemon.kill('SIGTERM');
      await daemon.exited;
      this.#log.push(`${this.#version}, the last TMU`, ...daemon.lines);
      if (ended.outcome === 'SUCCESS' || ended.outcome === 'UP_TO_DATE') return this.#ended(ended);
    }
    let last = '';
    for (let tries = 1; tries <= PATIENCE_CYCLES; tries++) {
      const tmu = this.#startTmu(['--once']);
      await tmu.exited;
      this.#log.push(`${this.#version}, quiet cycle ${tries}`, ...tmu.lines);
      const outcome = tmu.events.filter(({ kind }) => kind === 'outcome').at(-1);
      if (SETTLED.has(outcome?.outcome)) return this.#ended(outcome!);
      last = String(outcome?.outcome ?? `exit ${await tmu.code()}: ${tmu.stderr.slice(-500)}`);
    }
    this.#violated(`${this.#version}: not settled after ${PATIENCE_CYCLES} quiet cycles: ${last}`);
    return last;
  }

  /** Checks that the outcome reported by the TMU is true. */
  async #ended({ outcome, code }: Json): Promise<string> {
    const name = code === undefined ? String(outcome) : `${outcome} ${code}`;
    this.#outcomes[name] = (this.#outcomes[name] ?? 0) + 1;
    const { files } = await standing(this.#vehicle);
    const isNew = ECUS.every((ecu) => this.#isNew(ecu, files));
    const claimsNew = outcome === 'SUCCESS' || outcome === 'UP_TO_DATE';
    if (isNew !== claimsNew) {
      this.#violated(`${this.#version}: ended ${name}: ${JSON.stringify(files)}`);
    }
    return String(outcome);
  }

  /** Runs at any instant, whichever processes run. Everything is read from the files, not from reports. */
  async #glance(when: string): Promise<void> {
    // Reads the counters first: a confirmation can only have come later than these values.
    const counters = await byEcu((ecu) => readCounter(this.#vehicle.folder(ecu)));
    const files = await byEcu((ecu) => readEcu(this.#vehicle.folder(ecu)));
    for (const ecu of ECUS) {
      const { sha256, isSound } = files[ecu];
      if (!isSound) this.#violated(`${when}: the active bank of ${ecu} is not what was verified`);
      if (!this.#allowed[ecu].has(sha256)) this.#violated(`${when}: ${ecu} runs unknown ${sha256}`);
      const [was, is] = [this.#before.counters[ecu], counters[ecu]];
      if (is < was) this.#violated(`${when}: the counter of ${ecu} fell from ${was} to ${is}`);
      if (is === was) continue;
      for (const other of ECUS) {
        if (this.#isNew(other, files) && files[other].isSettled) continue;
        this.#violated(`${when}: the counter of ${ecu} was raised, ${other} is not confirmed`);
      }
    }
  }

  /** Checks repeatedly: a violation is often gone before the next kill. */
  #watch(): () => Promise<void> {
    let isOver = false;
    const watching = (async () => {
      while (!isOver) {
        await this.#glance(`${this.#version}, in between`);
        await pause(this.#options.glanceMs);
      }
    })().catch((error: unknown) => this.#violated(`${this.#version}, in between: ${error}`));
    return () => {
      isOver = true;
      return watching;
    };
  }

  #isNew(ecu: Ecu, files: ByEcu<EcuFiles>): boolean {
    return this.#images.some((image) => image.ecu === ecu && image.sha256 === files[ecu].sha256);
  }

  /** Check between two campaigns: all ECUs new, or all unchanged; nothing pending. */
  async #judge(): Promise<void> {
    const when = `${this.#version}, at rest`;
    await this.#glance(when);
    const journal = decodeJournal(await readFile(path.join(this.#state, 'journal.log')));
    if (journal.end !== 'whole') this.#violated(`${when}: the journal is ${journal.end}`);
    const now = await standing(this.#vehicle);
    const { files, counters } = now;
    const before = this.#before;
    const isNew = ECUS.every((ecu) => this.#isNew(ecu, files));
    const isOld = ECUS.every((ecu) => files[ecu].sha256 === before.files[ecu].sha256);
    if (!isNew && !isOld) this.#violated(`${when}: mixed: ${JSON.stringify(files)}`);
    for (const ecu of ECUS) {
      if (!files[ecu].isSettled) this.#violated(`${when}: ${ecu} is not at rest`);
      if (isNew !== counters[ecu] > before.counters[ecu]) {
        const change = `${before.counters[ecu]} to ${counters[ecu]}`;
        this.#violated(`${when}: ${isNew ? 'new' : 'old'}, counter of ${ecu}: ${change}`);
      }
    }
    const { kind } = await this.#journalState();
    if (kind !== 'idle') this.#violated(`${when}: the journal ends in ${kind}`);
    this.#before = now;
  }

  /** Every campaign of the journal has ended, and the backend has each end exactly once. */
  async #judgeReports(): Promise<void> {
    const { old, current } = await readJournals(this.#state);
    using database = new DatabaseSync(path.join(this.#backend.data, 'can-ota.db'), {
      readOnly: true,
    });
    const reports = database.prepare('SELECT outcome FROM reports WHERE campaign = ?');
    for (const { id, outcome } of historyOf([...old, ...current])) {
      const heard = reports.all(id).map((row) => row.outcome);
      // A failed rollback is reported at once, and again when it has ended.
      const ends = heard.filter((told) => told !== 'ROLLBACK_FAILED');
      if (ends.length !== 1 || ends[0] !== outcome) {
        this.#violated(`campaign ${id} ended ${outcome}, the backend heard [${heard.join(', ')}]`);
      }
    }
  }

  /** Every command has ended, and the inverter did what their states say, none of them twice. */
  async #judgeCommands(): Promise<void> {
    let rows = this.#commandRows();
    for (let tries = 1; tries <= PATIENCE_CYCLES && rows.some(isOpen); tries++) {
      const tmu = this.#startTmu(['--once']);
      await tmu.exited;
      this.#log.push(`commands, quiet cycle ${tries}`, ...tmu.lines);
      rows = this.#commandRows();
    }
    for (const { id, state } of rows) {
      this.#commands[state] = (this.#commands[state] ?? 0) + 1;
      if (isOpen({ state })) this.#violated(`command ${id} is ${state} still`);
    }
    const done = rows.filter(({ state }) => state === 'completed').length;
    const perhaps = rows.filter(({ code }) => code === 'IN_DOUBT').length;
    const runs = await readRuns(this.#vehicle.folder('INV'), CALIBRATION);
    if (runs < done || runs > done + perhaps) {
      this.#violated(
        `INV was calibrated ${runs} times, ${done} commands say so, ${perhaps} are in doubt`,
      );
    }
  }

  #commandRows(): readonly CommandRow[] {
    using database = new DatabaseSync(path.join(this.#backend.data, 'can-ota.db'), {
      readOnly: true,
    });
    return database
      .prepare('SELECT id, state, code FROM commands ORDER BY id')
      .all() as unknown as CommandRow[];
  }

  async #journalState(): Promise<CampaignState> {
    return replay((await readJournals(this.#state)).current);
  }

  #violated(what: string): void {
    this.#log.push(`VIOLATION: ${what}`);
    this.#violations.add(what);
  }
}

interface CommandRow {
  readonly id: string;
  readonly state: string;
  readonly code: string | null;
}

function isOpen({ state }: Pick<CommandRow, 'state'>): boolean {
  return ['pending', 'delivered', 'executing'].includes(state);
}

async function standing(vehicle: TestVehicle): Promise<Standing> {
  return {
    files: await byEcu((ecu) => readEcu(vehicle.folder(ecu))),
    counters: await byEcu((ecu) => readCounter(vehicle.folder(ecu))),
  };
}

async function byEcu<T>(work: (ecu: Ecu) => Promise<T>): Promise<ByEcu<T>> {
  return { EDT: await work('EDT'), INV: await work('INV') };
}

/** Real time, because kills hit running processes. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
