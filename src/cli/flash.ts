// `can-ota flash`: program one ECU, ours or any other, without a backend.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { SingleBar } from 'cli-progress';
import type { DriverErrorCode, EcuProgress } from '../campaign/ports.ts';
import { systemClock } from '../core/clock.ts';
import { ExitCode } from '../core/exit-code.ts';
import { silentLogger } from '../core/logger.ts';
import { formatBytes, formatDuration, formatRate } from '../core/units.ts';
import { UdsEcuDriver } from '../drivers/ecu-driver.ts';
import { programEcu } from '../drivers/program-ecu.ts';
import { connectTester, openTesterBus, type TesterOptions } from './bus.ts';
import { pc } from './colours.ts';
import { type CommonOptions, type Context, runCommand } from './context.ts';
import { type MetadataOptions, metadataOf } from './flash-metadata.ts';
import { openImageFile } from './image-file.ts';
import { type TargetOptions, targetEcu } from './target-ecu.ts';

interface FlashOptions extends CommonOptions, TesterOptions, TargetOptions, MetadataOptions {
  readonly version?: string;
  readonly fd?: boolean;
}

export function flash(name: string, file: string, options: FlashOptions): Promise<void> {
  return runCommand(options, async (context) => {
    const { ecu, vin } = await targetEcu(name, options);
    await using image = await openImageFile(file, 'image');
    const metadata = await metadataOf(options, { ecu, vin, file, image }, context.logger);
    await using opened = await openTesterBus(options, context, 'flash');
    context.say(
      `${name} on ${opened.why}: ${file}, ${formatBytes(image.length)}, sha256 ${image.sha256}`,
    );
    const driver = new UdsEcuDriver({
      ecu,
      requester: connectTester(opened.bus, ecu, context),
      clock: systemClock,
      runCommand: runKeyCommand,
      // Its warnings are in the result and are printed from there.
      logger: silentLogger,
    });
    const progress = new FlashProgress(name, context);
    const result = await programEcu({
      driver,
      target: {
        version: options.version,
        image,
        ...(metadata === undefined ? {} : { metadata }),
      },
      signal: context.signal,
      progress: (step) => progress.update(step),
      onPhase: (phase) => {
        progress.pause();
        context.emit({ kind: 'phase', ecu: name, phase });
        context.say(pc.dim(`${name}: ${PHASES[phase]}`));
      },
    });
    progress.pause();
    for (const warning of result.warnings) process.stderr.write(`can-ota: ${warning}\n`);
    if (!result.ok) {
      const { code, reason, phase, rolledBack, rollbackReason, attack } = result;
      context.emit({
        kind: 'result',
        ecu: name,
        ok: false,
        phase,
        error: { code, message: reason, ...(attack === undefined ? {} : { attack }) },
        rolledBack,
      });
      process.stderr.write(`can-ota: ${reason}\n`);
      if (rolledBack === true)
        process.stderr.write(`can-ota: ${name} is back on what it ran before\n`);
      if (rolledBack === false) {
        process.stderr.write(`can-ota: no way back: ${rollbackReason}\n`);
      }
      return exitCodeOf(code, context);
    }
    const { from, report, bytes, transferMs, warnings } = result;
    const seconds = transferMs / 1000;
    const bytesPerSecond = seconds > 0 ? bytes / seconds : 0;
    context.emit({
      kind: 'result',
      ecu: name,
      ok: true,
      from: from ?? null,
      reported: report.version ?? null,
      sha256: report.sha256 ?? null,
      imageSha256: image.sha256,
      bytes,
      seconds,
      bytesPerSecond,
      warnings,
    });
    const carried =
      bytes === 0
        ? 'it held this image already'
        : `${formatBytes(bytes)} in ${formatDuration(transferMs)}, ${formatRate(bytesPerSecond)}`;
    context.say(`${name}: ${from ?? 'unknown'} -> ${report.version ?? 'unknown'}, ${carried}`);
    return ExitCode.success;
  });
}

const PHASES = {
  stage: 'transfer',
  activate: 'activation',
  verify: 'verification',
  confirm: 'confirmation',
  'roll-back': 'going back',
} as const;

function exitCodeOf(code: DriverErrorCode, context: Context): ExitCode {
  if (code === 'INTERRUPTED' || context.signal.aborted) return ExitCode.interrupted;
  if (code === 'BUS') return ExitCode.busUnavailable;
  if (code === 'PRECONDITION') return ExitCode.preconditionFailed;
  if (code === 'SECURITY' || code === 'UNTRUSTED') return ExitCode.securityValidationFailed;
  return ExitCode.ecuFailed;
}

/** The program of an ECU's maker that turns a seed into a key; see `security.algorithm: command`. */
export async function runKeyCommand(command: string, seedHex: string): Promise<string> {
  const { stdout } = await promisify(execFile)(command, [seedHex], { timeout: 10_000 });
  return stdout;
}

/** A bar on a terminal, lines for machines, nothing in a plain log. */
class FlashProgress {
  readonly #name: string;
  readonly #context: Context;
  readonly #bar: SingleBar | undefined;
  #started = false;
  #lastEmitMs = 0;

  constructor(name: string, context: Context) {
    this.#name = name;
    this.#context = context;
    this.#bar =
      process.stderr.isTTY === true && !context.json
        ? new SingleBar({
            format: `${name} {bar} {percentage} %  {sent} of {size}  {rate}`,
            barCompleteChar: '█',
            barIncompleteChar: '░',
            hideCursor: true,
            stream: process.stderr,
            clearOnComplete: true,
          })
        : undefined;
  }

  update({ sent, total }: EcuProgress): void {
    const nowMs = systemClock.nowMs();
    if (nowMs - this.#lastEmitMs > 200 || sent === total) {
      this.#lastEmitMs = nowMs;
      this.#context.emit({ kind: 'progress', ecu: this.#name, sent, total });
    }
    if (this.#bar === undefined) return;
    const payload = {
      sent: formatBytes(sent),
      size: formatBytes(total),
      rate: this.#rate(sent, nowMs),
    };
    if (!this.#started) {
      this.#started = true;
      this.#bar.start(total, sent, payload);
    } else this.#bar.update(sent, payload);
  }

  #first: { readonly sent: number; readonly atMs: number } | undefined;

  #rate(sent: number, nowMs: number): string {
    this.#first ??= { sent, atMs: nowMs };
    const seconds = (nowMs - this.#first.atMs) / 1000;
    return seconds > 0.2 ? formatRate((sent - this.#first.sent) / seconds) : '';
  }

  pause(): void {
    if (this.#started) this.#bar?.stop();
    this.#started = false;
    this.#first = undefined;
  }
}
