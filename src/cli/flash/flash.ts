// `can-ota flash`: program one ECU, ours or any other, without a backend: a campaign of one ECU.

import type { DriverErrorCode } from '../../campaign/ports.ts';
import type { RetryPolicy } from '../../campaign/retry-policy.ts';
import { runSingle, type SingleResult, type SingleStep } from '../../campaign/single.ts';
import { systemClock } from '../../core/clock.ts';
import { pc } from '../../core/colours.ts';
import type { Context } from '../../core/context.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { silentLogger } from '../../core/logger.ts';
import { defined } from '../../core/optional.ts';
import { systemRandom } from '../../core/random.ts';
import { formatBytes, formatDuration } from '../../core/units.ts';
import { UdsEcuDriver } from '../../drivers/ecu-driver.ts';
import { Exchange, type ExchangeOptions } from '../../drivers/exchange.ts';
import { readBootState } from '../../drivers/identification.ts';
import { openFlashFile, splitAddress } from '../../image/image-file-formats.ts';
import { connectTester, openTesterBus, type TesterOptions } from '../../onboard/bus.ts';
import { identityBeside, type MetadataOptions, metadataOf } from '../../onboard/flash-metadata.ts';
import { runKeyCommand } from '../../onboard/key-command.ts';
import { loadProgram } from '../../onboard/second-boot-loader.ts';
import type { Vehicle } from '../../vehicle/schema.ts';
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
}

/** The ECU as the person named it, on its bus. */
interface Flashed extends ExchangeOptions {
  readonly name: string;
}

export function flash(name: string, file: string, given: FlashOptions): Promise<void> {
  return runCommand(given, async (context) => {
    const options = { ...given, ...(await identityBeside(given)) };
    const { ecu, vehicle, advice, authority } = await targetEcu(name, options);
    const at = await splitAddress(file, 'image');
    const told = options.raw === true;
    await using image = await openFlashFile(at, 'image', { told });
    const metadata = await metadataOf(options, { ecu, vehicle, file, image }, context.logger);
    await using opened = await openTesterBus(options, context, 'flash');
    context.say(
      `${name} on ${opened.why}: ${file}, ${formatBytes(image.length)}, sha256 ${image.sha256}`,
    );
    const requester = connectTester(opened.bus, ecu, context);
    const flashed: Flashed = { name, ecu, requester, clock: systemClock, advice, authority };
    const progress = new FlashProgress(name, context);
    const bank = await bankToWrite(flashed, context.signal);
    const result = await runSingle({
      // Its warnings are in the result and are printed from there.
      driver: new UdsEcuDriver({
        ...flashed,
        runCommand: runKeyCommand,
        secondBootLoader: loadProgram,
        logger: silentLogger,
      }),
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

/** The letter of the bank that the ECU does not run from; undefined for an ECU with one bank, or where it does not say. */
async function bankToWrite(flashed: Flashed, signal: AbortSignal): Promise<string | undefined> {
  if (hasOneBank(flashed.ecu)) return undefined;
  const state = await readBootState(new Exchange(flashed), signal);
  return state.ok && state.value !== undefined ? 'BA'[state.value.activeBank] : undefined;
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
