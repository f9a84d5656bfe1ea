// `can-ota flash`: program one ECU, ours or any other, without a backend: a campaign of one ECU.

import type { CanBus } from '../../bus/can-bus.ts';
import type { DriverErrorCode, EcuDriver } from '../../campaign/ports.ts';
import type { RetryPolicy } from '../../campaign/retry-policy.ts';
import { runSingle, type SingleResult, type SingleStep } from '../../campaign/single.ts';
import { systemClock } from '../../core/clock.ts';
import { pc } from '../../core/colours.ts';
import type { Context } from '../../core/context.ts';
import { InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { silentLogger } from '../../core/logger.ts';
import { defined } from '../../core/optional.ts';
import { systemRandom } from '../../core/random.ts';
import { formatBytes, formatDuration } from '../../core/units.ts';
import { UdsEcuDriver } from '../../drivers/ecu-driver.ts';
import { Exchange, type ExchangeOptions } from '../../drivers/exchange.ts';
import { readBootState } from '../../drivers/identification.ts';
import {
  type FlashFile,
  openFlashFile,
  requireSoftware,
  splitAddress,
} from '../../image/image-file-formats.ts';
import { boardOnBus, isBoard } from '../../onboard/board.ts';
import { connectTester, openTesterBus, type TesterOptions } from '../../onboard/bus.ts';
import { identityBeside, type MetadataOptions, metadataOf } from '../../onboard/flash-metadata.ts';
import { runKeyCommand } from '../../onboard/key-command.ts';
import { loadProgram } from '../../onboard/second-boot-loader.ts';
import type { Vehicle, VehicleEcu } from '../../vehicle/schema.ts';
import { type CommonOptions, runCommand } from '../context.ts';
import type { FieldOptions } from './field-options.ts';
import { FlashProgress } from './progress.ts';
import type { TargetOptions } from './target-advice.ts';
import { targetEcu } from './target-ecu.ts';
import {
  contentText,
  hasOneBank,
  type Programmed,
  phaseOf,
  rateOf,
  stepText,
  successText,
} from './words.ts';

interface FlashOptions
  extends CommonOptions,
    TesterOptions,
    TargetOptions,
    FieldOptions,
    MetadataOptions {
  readonly version?: string;
  readonly fd?: boolean;
  /** The file is raw data, whatever it looks like. */
  readonly raw?: boolean;
  /** A person switches the board on. */
  readonly waitForPowerOn?: boolean;
}

/** How long CONNECT is repeated with `--wait-for-power-on`. */
const POWER_ON_MS = 600_000;

/** The ECU as the person named it, on its bus. */
interface Flashed extends Omit<ExchangeOptions, 'requester'> {
  readonly name: string;
}

export function flash(name: string, file: string, given: FlashOptions): Promise<void> {
  return runCommand(given, async (context) => {
    const options = { ...given, ...(await identityBeside(given)) };
    const { ecu: described, vehicle, advice, authority } = await targetEcu(name, options);
    if (options.waitForPowerOn === true && !isBoard(described)) {
      throw new InputError(
        '--wait-for-power-on',
        `${name} is programmed over UDS: it is for a board with OpenBLT (--profile openblt, or "programming: openblt" in the vehicle file)`,
      );
    }
    const at = await splitAddress(file, 'image');
    const told = options.raw === true;
    await using image = await openFlashFile(at, 'image', { told });
    requireSoftware(image, file);
    const ecu = erasedBy(described, image);
    const metadata = await metadataOf(options, { ecu, vehicle, file, image }, context.logger);
    await using opened = await openTesterBus(options, context, 'flash');
    context.say(
      `${name} on ${opened.why}: ${file}, ${formatBytes(image.length)}, sha256 ${image.sha256}`,
    );
    if (ecu !== described) context.say('what is erased comes from the VBF file');
    const flashed: Flashed = { name, ecu, clock: systemClock, advice, authority };
    const progress = new FlashProgress(name, context);
    const { driver, bank } = isBoard(ecu)
      ? { driver: boardDriver(flashed, opened.bus, options, context), bank: undefined }
      : await udsDriver(
          { ...flashed, requester: connectTester(opened.bus, ecu, context) },
          context,
        );
    const result = await runSingle({
      driver,
      ecu,
      hasOneBank: hasOneBank(ecu),
      target: {
        version: options.version,
        image,
        ...defined({ metadata }),
      },
      clock: systemClock,
      random: systemRandom,
      ...policyOf(vehicle),
      signal: context.signal,
      progress: (step) => progress.update(step),
      onStep: (step) => {
        progress.pause();
        showStep(step, { ecu, bank, version: options.version }, name, context);
      },
    });
    progress.pause();
    for (const warning of result.warnings) complain(warning);
    return result.ok
      ? showSuccess(result, image.sha256, flashed, context)
      : showFailure(result, flashed, context);
  });
}

/** A driver over UDS, and the bank that it will write. Its warnings are in the result and are printed from there. */
async function udsDriver(
  options: ExchangeOptions,
  { signal }: Context,
): Promise<{ readonly driver: EcuDriver; readonly bank: string | undefined }> {
  const driver = new UdsEcuDriver({
    ...options,
    runCommand: runKeyCommand,
    secondBootLoader: loadProgram,
    logger: silentLogger,
  });
  return { driver, bank: await bankToWrite(options, signal) };
}

/** The driver of a board with OpenBLT, of which nothing is known before. */
function boardDriver(
  { ecu, clock, advice, name }: Flashed,
  bus: CanBus,
  { waitForPowerOn }: FlashOptions,
  context: Context,
): EcuDriver {
  const isWaiting = waitForPowerOn === true;
  if (isWaiting) {
    context.emit({ kind: 'waiting', ecu: name, for: 'power-on', seconds: POWER_ON_MS / 1000 });
    context.say(`${name}: switch the board off and on now; CONNECT is repeated until it answers`);
  }
  const waitMs = isWaiting ? POWER_ON_MS : undefined;
  const parts = { ecu, clock, runCommand: runKeyCommand, waitMs, ...defined({ advice }) };
  return boardOnBus(bus, parts).driver;
}

/** The letter of the bank that the ECU does not run from; undefined for an ECU with one bank, or where it does not say. */
async function bankToWrite(
  flashed: ExchangeOptions,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (hasOneBank(flashed.ecu)) return undefined;
  const state = await readBootState(new Exchange(flashed), signal);
  return state.ok && state.value !== undefined ? 'BA'[state.value.activeBank] : undefined;
}

/** A VBF file lists what is to be erased, which may be more than its data. The vehicle file's own list goes before it. */
function erasedBy(ecu: VehicleEcu, { vbf }: Pick<FlashFile, 'vbf'>): VehicleEcu {
  const { memory, programming } = ecu;
  const isOpen = memory.erase === 'data' && programming.segments === 'each';
  if (!isOpen || vbf === undefined || vbf.erase.length === 0) return ecu;
  const erase = vbf.erase.map(({ address, length }) => ({ address, size: length }));
  return { ...ecu, memory: { ...memory, erase } };
}

/** What the vehicle file says about retries and about new software holds here, too. */
function policyOf(vehicle: Vehicle | undefined): {
  readonly retry?: Partial<RetryPolicy>;
  readonly heartbeatMs?: number;
  readonly compareTroubleCodes?: boolean;
} {
  if (vehicle === undefined) return {};
  const { retry, diagnostics } = vehicle.policy;
  const given = Object.entries(retry).filter(([, limit]) => limit !== undefined);
  return {
    retry: Object.fromEntries(given) as Partial<RetryPolicy>,
    heartbeatMs: diagnostics.heartbeatSeconds * 1000,
    compareTroubleCodes: diagnostics.troubleCodes === 'compare',
  };
}

function showStep(step: SingleStep, programmed: Programmed, name: string, context: Context): void {
  const phase = phaseOf(step.step, programmed.ecu);
  if (step.status === 'retry') {
    const { code, reason } = step.failure;
    const error = { code, message: reason };
    context.emit({ kind: 'retry', ecu: name, phase, error, delaySeconds: step.delayMs / 1000 });
    complain(`${reason}; trying again in ${formatDuration(step.delayMs)}`);
    return;
  }
  const text = stepText(step, programmed);
  if (text === undefined) return;
  context.emit({ kind: 'phase', ecu: name, phase, status: step.status });
  context.say(pc.dim(`${name}: ${text}`));
}

function showSuccess(
  result: Extract<SingleResult, { ok: true }>,
  imageSha256: string,
  { name }: Flashed,
  context: Context,
): ExitCode {
  const { from, report, bytes, seconds, counterOwed } = result;
  const warnings = [...result.warnings];
  if (counterOwed !== undefined) {
    const owed = `${name} runs the new version for good, but its security counter is not raised: ${counterOwed}; run the command again to raise it`;
    warnings.push(owed);
    complain(owed);
  }
  context.emit({
    kind: 'result',
    ecu: name,
    ok: true,
    from: from ?? null,
    reported: report.version ?? null,
    sha256: report.sha256 ?? null,
    imageSha256,
    bytes,
    seconds,
    bytesPerSecond: rateOf(result),
    warnings,
  });
  context.say(`${name}: ${successText(result)}`);
  return ExitCode.success;
}

function showFailure(
  result: Extract<SingleResult, { ok: false }>,
  { name, ecu }: Flashed,
  context: Context,
): ExitCode {
  const { code, reason, step, content, rolledBack, attack } = result;
  context.emit({
    kind: 'result',
    ecu: name,
    ok: false,
    phase: phaseOf(step, ecu),
    error: { code, message: reason, ...defined({ attack }) },
    rolledBack,
    content: content.kind,
  });
  complain(reason);
  complain(
    code === 'INTERRUPTED' && content.kind !== 'unchanged'
      ? `${name} is in the middle of its update: run the command again to finish it`
      : contentText(name, content),
  );
  return exitCodeOf(code, context);
}

function complain(text: string): void {
  process.stderr.write(`can-ota: ${text}\n`);
}

function exitCodeOf(code: DriverErrorCode, context: Context): ExitCode {
  if (code === 'INTERRUPTED' || context.signal.aborted) return ExitCode.interrupted;
  if (code === 'BUS') return ExitCode.busUnavailable;
  if (code === 'PRECONDITION') return ExitCode.preconditionFailed;
  if (code === 'SECURITY' || code === 'UNTRUSTED') return ExitCode.securityValidationFailed;
  return ExitCode.ecuFailed;
}
