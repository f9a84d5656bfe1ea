// All commands with their options. The code of a command is imported when it runs, so that `--help` and an
// ECU process do not load the server.

import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { keysHelp } from '../../ecus/cgw/driver-keys.ts';
import { ExitCode } from '../core/exit-code.ts';
import { ECU_NAME } from '../core/names.ts';
import { packageVersion } from '../core/package-root.ts';
import { addCampaign } from './campaign/options.ts';
import { addCheck } from './check/options.ts';
import { addCompletion } from './completion/options.ts';
import { addDevice } from './device/options.ts';
import { readEnvironment } from './environment.ts';
import { withProgrammingFields } from './flash/field-options.ts';
import { addImage } from './image/options.ts';
import { addKeys } from './keys/options.ts';
import { addResetTime } from './keys/reset-time-options.ts';
import { command, EXIT_CODES, withBeside, withNetwork, withVehicle } from './program-options.ts';
import { addProvision } from './provision/options.ts';
import { addRelease } from './release/options.ts';
import { addServer } from './server/options.ts';
import { addServices } from './services/options.ts';
import { addSimulate } from './simulate/options.ts';
import { addHistory, addStatus } from './state/options.ts';
import { suiteOption } from './suite.ts';
import { addTuf } from './tuf/options.ts';
import { addVcan } from './vcan/options.ts';
import { addVehicle } from './vehicle/options.ts';
import { addVerify } from './verify/options.ts';

const BENCH_IMAGE = new RegExp(`^(${ECU_NAME})=(.+)@([^@/]+)$`);

/** Runs the command line; resolves with the exit code. */
export async function main(argv: readonly string[]): Promise<ExitCode> {
  const program = createProgram();
  try {
    await program.parseAsync([...argv]);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? ExitCode.success : ExitCode.usage;
  }
  return (process.exitCode as ExitCode | undefined) ?? ExitCode.success;
}

export function createProgram(): Command {
  const program = new Command('can-ota')
    .description('CAN bus OTA gateway runtime: from the backend to the flash of every ECU.')
    .version(packageVersion)
    .enablePositionalOptions()
    .exitOverride()
    .showHelpAfterError('(add --help for the options and examples)')
    .addHelpText('after', EXIT_CODES);
  addBench(program);
  addTmu(program);
  addHistory(program);
  addStatus(program);
  addServer(program);
  addEcu(program);
  addCgw(program);
  addCheck(program);
  addFlash(program);
  addImage(program);
  addRead(program);
  addMonitor(program);
  addVcan(program);
  addVehicle(program);
  addProvision(program);
  addDevice(program);
  addKeys(program);
  addRelease(program);
  addResetTime(program);
  addCampaign(program);
  addServices(program);
  addTuf(program);
  addVerify(program);
  addSimulate(program);
  addCompletion(program);
  readEnvironment(program);
  return program;
}

function addBench(program: Command): void {
  withVehicle(
    command(
      program,
      'bench',
      'Update a whole bench vehicle: server, CGW, EDT, INV, BMS and TMU as processes on one bus.',
      `can-ota bench
       can-ota bench --approve yes --json
       can-ota bench --image EDT=build/edt.bin@2.1.0 --image BMS=build/bms.bin@3.0.0
       can-ota bench --bus vcan0 --fd --trace update.log
       can-ota bench --scenario services --json`,
    ),
  )
    .addOption(
      new Option(
        '--approve <answer>',
        'the driver: ask on the CGW console, or answer approve (yes) or deny (no)',
      )
        .choices(['ask', 'yes', 'no'])
        .default('ask'),
    )
    .option(
      '--image <ecu=file@version>',
      'release this image instead of the standard ones (repeatable)',
      (value: string, all: readonly ImageArgument[]) => [...all, parseImageArgument(value)],
      [] as readonly ImageArgument[],
    )
    .option(
      '--data <dir>',
      'keep everything here: database, flash files, state (default: a temporary folder)',
    )
    .option(
      '--encrypt <ecu>',
      'release the image of this ECU encrypted for it (repeatable)',
      (value: string, all: readonly string[]) => [...all, value],
      [] as readonly string[],
    )
    .option('--approval-timeout <seconds>', 'how long the driver may think', seconds, 30)
    .addOption(
      new Option(
        '--scenario <name>',
        'one update, or the remote features (services): configuration, commands, telemetry and a small device',
      )
        .choices(['update', 'services'])
        .default('update'),
    )
    .addOption(transport())
    .addHelpText('after', keysHelp())
    .action(async (options) => (await import('./bench/bench.ts')).bench(options));
}

function addTmu(program: Command): void {
  withNetwork(
    withVehicle(
      command(
        program,
        'tmu',
        'The daemon of the telematics unit: polls, downloads, asks the driver, programs, reports.',
        `can-ota tmu --server http://127.0.0.1:8080 --bus vcan0 --vehicle vehicle.yaml --state-dir /var/lib/can-ota
       can-ota tmu --server http://127.0.0.1:8080 --state-dir state --once --json
       can-ota tmu --server https://ota.example.com --state-dir state --suite hmac`,
      ),
    ),
  )
    .requiredOption('--server <url>', 'the backend')
    .requiredOption(
      '--state-dir <dir>',
      'identity.json, device-id, trust/, images/, journal.log, state.json, outbox.json, config.json, commands.journal, telemetry/, session.json, device-key.json, progress.txt, status.json, downloaded_sha.txt',
    )
    .option(
      '--device-file <file>',
      "this TMU's chip number as text, compared with its identity (default: device-id in the state directory)",
    )
    .option('--images <url>', 'the image repository, where it is another server')
    .option('--poll <seconds>', 'time between two polls', seconds, 10)
    .option(
      '--sync <seconds>',
      'time between two contacts about configuration, commands and telemetry',
      seconds,
      10,
    )
    .option('--approval-timeout <seconds>', 'how long the driver may take to answer', seconds, 30)
    .option(
      '--checkin-interval <seconds>',
      'time between two checks of all signatures while nothing is new',
      seconds,
      3600,
    )
    .option('--bench-keys', 'take the public keys of the bench instead of identity.json')
    .addOption(transport())
    .option(
      '--chunk-size <bytes>',
      'with --transport chunked: largest chunk, 256 to 16384 (default 1024)',
      chunkSize,
    )
    .addOption(
      new Option(
        '--session <proof>',
        'how vehicle and backend authenticate for sealed messages: by the key that they share, or by key pairs',
      )
        .choices(['shared-key', 'key-pair'])
        .default('shared-key'),
    )
    .addOption(suiteOption())
    .option('--once', 'run one cycle; the exit code tells its outcome')
    .action(async (options) => (await import('./tmu/tmu.ts')).tmu(options));
}

function transport(): Option {
  return new Option(
    '--transport <way>',
    'how images come to the TMU: by HTTP, or in chunks authenticated one by one',
  )
    .choices(['http', 'chunked'])
    .default('http');
}

function withFlash(target: Command): Command {
  return withVehicle(target)
    .requiredOption(
      '--flash <dir>',
      'the flash memory: two banks, boot record, non-volatile data, identity, keys and counters, chip-id',
    )
    .option(
      '--image <file@version>',
      'image that the factory put into an empty flash',
      fileAtVersion,
    )
    .option(
      '--fault <name[=value]>',
      'break on purpose (repeatable): fail-write=BYTE, power-loss=BYTE, refuse-boot, self-test, hardware-id=TEXT, chip-id=HEX, silent, slow=MS, stuck=REQUESTS, reset-loop=TIMES, hot, garbage=ANSWERS',
      (value: string, all: readonly string[]) => [...all, value],
      [] as readonly string[],
    )
    .option(
      '--bench-keys',
      'a new ECU gives itself the public keys of the bench; they protect nothing',
    );
}

function addEcu(program: Command): void {
  withFlash(
    command(
      program,
      'ecu',
      'A simulated ECU with a real bootloader: EDT, INV, BMS, or any other of the vehicle file.',
      `can-ota ecu EDT --bus vcan0 --flash flash/edt
       can-ota ecu INV --bus local:bench --flash flash/inv --fault fail-write=100000
       can-ota ecu BLT --vehicle vehicle.yaml --flash flash/blt --kind openblt`,
    ).argument('<name>', 'name in the vehicle file'),
  )
    .addOption(
      new Option(
        '--kind <kind>',
        'what the vehicle file must describe it as: openblt (programming: openblt), can-ota, or foreign (a profile of another make)',
      ).choices(['can-ota', 'foreign', 'openblt']),
    )
    .option('--no-upload', 'a board with OpenBLT that is built without UPLOAD')
    .action(async (name, options) => (await import('./ecu/ecu.ts')).ecu(name, options));
}

function addCgw(program: Command): void {
  withFlash(
    command(
      program,
      'cgw',
      'The central gateway with the console on which the driver approves an update.',
      `can-ota cgw --bus vcan0 --flash flash/cgw
       can-ota cgw --flash flash/cgw --approve yes
       can-ota cgw --flash flash/cgw --signal speed=50 --signal gear=drive`,
    ),
  )
    .addOption(
      new Option('--approve <answer>', 'ask the driver, or answer approve (yes) or deny (no)')
        .choices(['ask', 'yes', 'no'])
        .default('ask'),
    )
    .option(
      '--approval-timeout <seconds>',
      'silence after this time counts as not approved',
      seconds,
      30,
    )
    .option(
      '--signal <name=value>',
      'value of a sensor of the vehicle file (repeatable); "signal NAME VALUE" on the line console changes it later',
      (value: string, all: readonly string[]) => [...all, value],
      [] as readonly string[],
    )
    .addHelpText('after', keysHelp())
    .action(async (options) => (await import('./ecu/cgw.ts')).cgw(options));
}

function addFlash(program: Command): void {
  withProgrammingFields(
    withNetwork(
      withBeside(
        withVehicle(
          command(
            program,
            'flash',
            'Program one ECU over UDS, or a board with OpenBLT over XCP, without a backend. Works with any ECU that speaks ISO 14229.',
            `can-ota flash EDT build/edt.bin --version 2.1.0 --bus vcan0 --bench-keys
       can-ota flash EDT build/edt.bin --metadata bundle.json --identity identity.json
       can-ota flash EDT build/edt.bin --metadata /var/lib/can-ota --server http://127.0.0.1:8080
       can-ota flash 7E0:7E8 image.bin --bus can0
       can-ota flash 7E0:7E8 image.bin --profile vw-like --p2 1000 --padding 0x55 --block-length 258
       can-ota flash ENGINE image.bin --vehicle vehicle.yaml --bus can0 --json
       can-ota flash 667:7E1 build/app.srec --profile openblt --wait-for-power-on --bus can0`,
          )
            .argument(
              '<ecu>',
              'name in the vehicle file, or REQUEST:RESPONSE identifiers of any other ECU',
            )
            .argument(
              '<image>',
              'file to program: Intel HEX, S-records, ELF, VBF or raw data (FILE@0x08000000)',
            ),
        ),
      ),
    ),
  )
    // `--version` of the program itself is an option before the command.
    .option('--version <text>', 'version of the image, told to the ECU and checked afterwards')
    .option(
      '--metadata <place>',
      'signed metadata for an ECU that verifies: a bundle, or the state directory of a TMU (its identity.json serves, too)',
    )
    .option('--server <url>', 'with a state directory: the backend that signs the time')
    .option('--identity <file>', 'security keys of the ECUs: identity.json of can-ota provision')
    .option('--bench-keys', 'sign on the spot and unlock with the public keys of the bench')
    .option(
      '--counter <number>',
      'with --bench-keys: release counter to sign (default: the time in seconds)',
      counter,
    )
    .option(
      '--address <number>',
      'memory address for REQUEST:RESPONSE (default 0x08000000)',
      address,
    )
    .option(
      '--hmac-key <hex>',
      'security access of REQUEST:RESPONSE: first 16 bytes of HMAC-SHA256(key, seed)',
    )
    .option('--xor-key <hex>', 'security access of REQUEST:RESPONSE: seed xor key')
    .option(
      '--profile <name>',
      'how ECUs of this make are programmed, for REQUEST:RESPONSE: a profile or a file',
    )
    .option('--level <number>', 'security access level, odd', address)
    .option(
      '--wait-for-power-on',
      'a board with OpenBLT: repeat CONNECT for ten minutes, and switch the board on meanwhile',
    )
    .option('--raw', 'take the file as raw data, whatever it looks like')
    .action(async (ecuName, image, options) =>
      (await import('./flash/flash.ts')).flash(ecuName, image, options),
    );
}

function addRead(program: Command): void {
  withVehicle(
    command(
      program,
      'read',
      'Read data identifiers of an ECU.',
      `can-ota read EDT F189 F18C --bus vcan0 --bench-keys
       can-ota read 7E0:7E8 F190 --json`,
    )
      .argument('<ecu>', 'name in the vehicle file, or REQUEST:RESPONSE identifiers')
      .argument('<did...>', 'data identifiers, four hexadecimal digits'),
  )
    .option('--identity <file>', 'security keys of the ECUs: identity.json of can-ota provision')
    .option('--bench-keys', 'take a vehicle file with the public keys of the bench')
    .action(async (ecuName, dids, options) =>
      (await import('./flash/read.ts')).read(ecuName, dids, options),
    );
}

function addMonitor(program: Command): void {
  withVehicle(
    command(
      program,
      'monitor',
      'Show what is said on the bus, ISO-TP messages put together and UDS decoded.',
      `can-ota monitor --bus vcan0
       can-ota monitor --file update.log --ecu EDT --from 2.5 --until 4
       can-ota monitor --raw --json`,
    ),
  )
    .option(
      '--file <log>',
      'read a log instead of a bus: what candump printed (its log or its view), or a Vector ASC file; - for standard input',
    )
    .option('--raw', 'show every frame too')
    .option('--all', 'also what is no known conversation, as frames')
    .option(
      '--ecu <name>',
      'only the conversations of this ECU (7E0, or 10 of 18DA10F1, where it has no name)',
    )
    .option('--from <seconds>', 'only from this time on, counted from the first frame', logSeconds)
    .option('--until <seconds>', 'only until then', logSeconds)
    .action(async (options) => (await import('./monitor/monitor.ts')).monitor(options));
}

interface ImageArgument {
  readonly ecu: string;
  readonly file: string;
  readonly version: string;
}

function parseImageArgument(value: string): ImageArgument {
  const match = BENCH_IMAGE.exec(value);
  if (match === null)
    throw new InvalidArgumentError('expected ECU=FILE@VERSION, like EDT=edt.bin@2.1.0');
  const [, ecu = '', file = '', text = ''] = match;
  return { ecu, file, version: version(text) };
}

/** A version as the backend and the ECUs accept it. */
function version(text: string): string {
  if (!/^[0-9A-Za-z][0-9A-Za-z.+_-]{0,31}$/.test(text)) {
    throw new InvalidArgumentError(
      `version ${JSON.stringify(text)}: expected 1 to 32 characters 0-9 A-Z a-z . + _ -, like 2.1.0`,
    );
  }
  return text;
}

function fileAtVersion(value: string): { readonly file: string; readonly version: string } {
  const match = /^(.+)@([^@/]+)$/.exec(value);
  if (match === null) throw new InvalidArgumentError('expected FILE@VERSION, like edt.bin@1.0.0');
  const [, file = '', text = ''] = match;
  return { file, version: version(text) };
}

function number(value: string, minimum: number, maximum: number, what: string): number {
  const parsed = Number(value);
  if (value.trim() === '' || !(parsed >= minimum && parsed <= maximum)) {
    throw new InvalidArgumentError(`expected ${what} from ${minimum} to ${maximum}`);
  }
  return parsed;
}

function seconds(value: string): number {
  return number(value, 0.1, 86_400, 'seconds');
}

function logSeconds(value: string): number {
  return number(value, 0, 1e9, 'seconds');
}

function chunkSize(value: string): number {
  const parsed = number(value, 256, 16_384, 'a whole number of bytes');
  if (!Number.isInteger(parsed)) throw new InvalidArgumentError('expected a whole number of bytes');
  return parsed;
}

function address(value: string): number {
  return number(value, 0, 0xffff_ffff, 'a number (0x... is hexadecimal)');
}

function counter(value: string): number {
  const parsed = number(value, 0, Number.MAX_SAFE_INTEGER, 'a release counter');
  if (!Number.isInteger(parsed)) throw new InvalidArgumentError('expected a whole number');
  return parsed;
}
