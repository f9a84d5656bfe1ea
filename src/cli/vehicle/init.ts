// `can-ota vehicle init`: writes a commented vehicle file, from what answers on the bus or from a template.

import { access } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { systemClock } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { createNewFile } from '../../core/new-file.ts';
import { didText } from '../../drivers/identification.ts';
import { readDids } from '../../drivers/read-dids.ts';
import { ReadOnlyRequester } from '../../drivers/read-only-requester.ts';
import {
  connectTester,
  type OwnedBus,
  openTesterBus,
  type TesterOptions,
} from '../../onboard/bus.ts';
import { type FoundEcu, type ScanResult, scanBus, scanCost } from '../../onboard/bus-scan.ts';
import {
  DESCRIBING_DIDS,
  type DescribedEcu,
  foundVehicleText,
} from '../../onboard/found-vehicle.ts';
import { newVehicleText } from '../../onboard/new-vehicle.ts';
import { readProfile } from '../../onboard/profiles.ts';
import { templateVehicleText } from '../../onboard/template-vehicle.ts';
import { withFd } from '../../onboard/vehicle-file.ts';
import { parseVehicle } from '../../vehicle/load.ts';
import { ecuSchema, type VehicleEcu } from '../../vehicle/schema.ts';
import { type CommonOptions, runCommand } from '../context.ts';

export interface InitOptions extends CommonOptions, TesterOptions {
  /** `bench`, or a profile. */
  readonly template?: string;
  readonly vin?: string;
  readonly yes?: boolean;
  readonly ids: '11' | '29' | 'both';
  /** ms */
  readonly wait: number;
}

const STANDARD_OUTPUT = '-';
const BENCH = 'bench';
/** In a template, where no --vin is given. */
const EXAMPLE_VIN = '1CANXTATEST000001';

export function initVehicle(file: string, options: InitOptions): Promise<void> {
  return runCommand(options, async (context) => {
    // Before the question and the scan.
    if (file !== STANDARD_OUTPUT) await refuseExisting(file);
    if (options.vin !== undefined) checkVin(options.vin);
    if (options.template !== undefined) {
      await write(await templateText(options.template, options.vin ?? EXAMPLE_VIN), file, context);
      return ExitCode.success;
    }
    return fromBus(file, options, context);
  });
}

function templateText(template: string, vin: string): Promise<string> | string {
  return template === BENCH ? newVehicleText(vin) : templateVehicleText(template, vin);
}

async function fromBus(file: string, options: InitOptions, context: Context): Promise<ExitCode> {
  const widths =
    options.ids === 'both' ? ([11, 29] as const) : ([options.ids === '11' ? 11 : 29] as const);
  await using opened = await openTesterBus(options, context, 'vehicle init');
  const { frames, seconds } = scanCost({ widths, waitMs: options.wait });
  const plan = `${frames} requests (3E 00) in ${seconds} s or more on ${opened.why}, to ${rangeText(options.ids)}; they change nothing in an ECU, but each is a frame on this bus`;
  if (!(await isWanted(plan, options))) {
    process.stderr.write('can-ota: nothing was sent\n');
    return ExitCode.userRejected;
  }
  const result = await scanBus({
    ...{ bus: opened.bus, clock: systemClock, widths, waitMs: options.wait },
    fd: options.fd === true,
    signal: context.signal,
    onProgress: progressOf(context),
  });
  if (result.interrupted) return context.interruption();
  tellInUse(result);
  if (result.found.length === 0) {
    process.stderr.write(
      `can-ota: no ECU answered, so no file is written: check power, wiring and bit rate; for ECUs that are slow --wait 200, for ECUs with CAN FD --fd; extended and mixed addressing and other identifiers are not scanned: begin with --template\n`,
    );
    return ExitCode.ecuFailed;
  }
  const described: DescribedEcu[] = [];
  for (const found of result.found) {
    const ecu = await describe(found, opened, options, context);
    // On standard output stands the file.
    if (file !== STANDARD_OUTPUT) context.emit(foundRecord(ecu));
    described.push(ecu);
    if (context.signal.aborted) return context.interruption();
  }
  const { bitrate, dataBitrate } = opened.bus;
  const text = foundVehicleText(described, { vin: options.vin, bitrate, dataBitrate });
  await write(text, file, context);
  return ExitCode.success;
}

function rangeText(ids: InitOptions['ids']): string {
  const narrow = '7DF and 700 to 7FF';
  const wide = '18DB33F1 and 18DA00F1 to 18DAFFF1';
  return ids === '11' ? narrow : ids === '29' ? wide : `${narrow}, ${wide}`;
}

/** Throws InputError where there is no terminal to ask on. */
async function isWanted(plan: string, { yes }: InitOptions): Promise<boolean> {
  if (yes === true) {
    process.stderr.write(`can-ota: sending ${plan}\n`);
    return true;
  }
  if (process.stdin.isTTY !== true) {
    throw new InputError('--yes', `this sends ${plan}; there is no terminal to ask on: give --yes`);
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`This sends ${plan}. Go on? [y/N] `);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    terminal.close();
  }
}

/** Quarters, on standard error of a terminal. */
function progressOf({ json }: Context): (done: number, total: number) => void {
  let told = 0;
  return (done, total) => {
    const percent = Math.floor((4 * done) / total) * 25;
    if (json || percent <= told || process.stderr.isTTY !== true) return;
    told = percent;
    process.stderr.write(`can-ota: ${percent} % scanned\n`);
  };
}

function tellInUse({ inUse }: ScanResult): void {
  if (inUse.length === 0) return;
  const shown = inUse.map(({ id }) => id.toString(16).toUpperCase()).join(' ');
  process.stderr.write(
    `can-ota: not asked, because other nodes send with these identifiers: ${shown}\n`,
  );
}

/** What it tells about itself, in its default session. */
async function describe(
  found: FoundEcu,
  { bus }: OwnedBus,
  options: InitOptions,
  context: Context,
): Promise<DescribedEcu> {
  const ecu = ecuOf(found, options.fd === true);
  const client = connectTester(bus, ecu, context);
  const requester = new ReadOnlyRequester(client);
  const readings = await readDids(
    { ecu, requester, clock: systemClock },
    DESCRIBING_DIDS,
    context.signal,
  );
  client.close();
  const texts = new Map<number, string>();
  for (const reading of readings) {
    const text = reading.ok ? didText(reading.data) : '';
    if (text !== '') texts.set(reading.did, text);
  }
  return { ...found, texts };
}

function foundRecord({ request, response, fd, functional, texts }: DescribedEcu): unknown {
  return {
    kind: 'found',
    ...{ request: request.id, response: response.id, extended: request.extended, fd, functional },
    texts: Object.fromEntries(
      [...texts].map(([did, text]) => [did.toString(16).toUpperCase(), text]),
    ),
  };
}

function ecuOf({ request, response }: FoundEcu, fd: boolean): VehicleEcu {
  const ecu = ecuSchema.parse({
    name: `ECU_${request.id.toString(16).toUpperCase()}`,
    hardwareId: 'unknown',
    address: {
      mode: 'normal',
      request: request.id,
      response: response.id,
      extended: request.extended,
    },
    programming: 'standard',
  });
  return fd ? withFd(ecu) : ecu;
}

function checkVin(vin: string): void {
  if (/^[A-HJ-NPR-Z0-9]{17}$/.test(vin)) return;
  throw new InputError('--vin', `${vin}: expected 17 characters without I, O and Q (ISO 3779)`);
}

async function refuseExisting(file: string): Promise<void> {
  const isThere = await access(file).then(
    () => true,
    () => false,
  );
  if (isThere) {
    throw new InputError(
      'FILE',
      `${file} is there already and is never replaced: name another one`,
    );
  }
}

async function write(text: string, file: string, context: Context): Promise<void> {
  const { ecus } = parseVehicle(text, file, (name) => readProfile(name, process.cwd()));
  if (file === STANDARD_OUTPUT) {
    process.stdout.write(text);
    return;
  }
  await createNewFile(file, [text], 'FILE');
  const names = ecus.map(({ name }) => name);
  context.emit({ kind: 'written', file, ecus: names });
  context.say(`${file}: ${names.join(', ')}; complete it, then: can-ota check --vehicle ${file}`);
}
