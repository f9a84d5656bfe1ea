// `can-ota device`: a small device as a process: enrol it, run it, show its state.

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { systemClock } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { lockFolder } from '../../core/lock.ts';
import { systemRandom } from '../../core/random.ts';
import { readSecretLine } from '../../core/secret-file.ts';
import { DiskStorage } from '../../core/storage.ts';
import { fileFault, readTextFile } from '../../core/text-file.ts';
import { formatBytes, formatDuration } from '../../core/units.ts';
import type { CycleEnd } from '../../device/client.ts';
import type { DeviceEvent } from '../../device/device-event.ts';
import { enroll as enrollDevice } from '../../device/enroll.ts';
import { DevicePowerCut, parseDeviceFaults } from '../../device/faults.ts';
import { openDeviceClient } from '../../device/open-client.ts';
import { readDeviceStatus, type SmallDeviceStatus } from '../../device/read-status.ts';
import { HttpRegistry } from '../../factory/registry.ts';
import { type NetworkOptions, networkOf } from '../../link/network.ts';
import { CHIP_FILE, readChip, requireOwnChip } from '../../onboard/own-chip.ts';
import type { Suite } from '../../trust/sealed-session.ts';
import { announceReady, type CommonOptions, runCommand } from '../context.ts';
import { requirePrivateWay } from '../suite.ts';

interface FolderOptions extends CommonOptions {
  readonly stateDir: string;
}

interface EnrollOptions extends FolderOptions, NetworkOptions {
  readonly server: string;
  readonly tokenFile: string;
  readonly model: string;
  readonly releaseKey: string;
  readonly hwId?: string;
  readonly image?: { readonly file: string; readonly version: string };
}

interface RunOptions extends FolderOptions, NetworkOptions {
  readonly deviceFile?: string;
  readonly server: string;
  readonly once?: boolean;
  readonly again?: boolean;
  readonly interval: number;
  readonly chunkSize: number;
  readonly suite: Suite;
  readonly fault: readonly string[];
}

export function enroll(options: EnrollOptions): Promise<void> {
  return runCommand(options, async (context) => {
    const token = await readSecretLine(options.tokenFile, '--token-file');
    const releaseKey = await readTextFile(options.releaseKey, '--release-key');
    const factory = await factoryImage(options);
    const network = await networkOf(options, options.server);
    const storage = await DiskStorage.openOwn(options.stateDir);
    const lock = await lockFolder(storage.location);
    try {
      const registry = new HttpRegistry({
        server: options.server,
        token,
        clock: systemClock,
        random: systemRandom,
        fetch: network.fetch,
      });
      const { model, hwId } = options;
      const { signal } = context;
      const enrolled = await enrollDevice({
        storage,
        registry,
        random: systemRandom,
        model,
        releaseKey,
        hwId,
        factory,
        signal,
      });
      if (enrolled.ok) {
        const { serial, hwId: chip } = enrolled.identity;
        await storage.replace(CHIP_FILE, new TextEncoder().encode(`${chip}\n`));
        context.emit({ kind: 'enrolled', serial, hwId: chip, model, version: factory.version });
        context.say(`${serial} (${model}) with ${factory.version} in ${storage.location}`);
        return ExitCode.success;
      }
      const { code, reason } = enrolled;
      context.emit({ kind: 'failed', code, reason });
      process.stderr.write(`can-ota: ${code}: ${reason}; run the same command again\n`);
      return context.signal.aborted ? context.interruption() : refusalCode(code);
    } finally {
      await lock.release();
    }
  });
}

export function run(options: RunOptions): Promise<void> {
  return runCommand(options, async (context) => {
    const faults = parseDeviceFaults(options.fault);
    if (options.again === true && options.once !== true) {
      throw new InputError('--again', 'is for a single look: add --once');
    }
    // A misspelt name must not create a folder.
    if (!existsSync(options.stateDir)) {
      throw new InputError(
        '--state-dir',
        `${options.stateDir} does not exist: run "can-ota device enroll" first`,
      );
    }
    requirePrivateWay(options.suite, options.server);
    const { transport } = await networkOf(options, options.server);
    const storage = await DiskStorage.openOwn(options.stateDir);
    const lock = await lockFolder(storage.location);
    try {
      const { client, device } = await openDeviceClient({
        server: options.server,
        storage,
        clock: systemClock,
        random: systemRandom,
        logger: context.logger,
        onEvent: (event) => report(event, context),
        transport,
        chunkBytes: options.chunkSize,
        checkIntervalMs: options.interval * 1000,
        suite: options.suite,
        faults,
      });
      const chip = await readChip(storage.location, options.deviceFile);
      requireOwnChip(device.identity, chip, 'run "can-ota device enroll" in an empty folder');
      const settled = await client.start(context.signal);
      announceReady();
      if (options.once !== true) {
        await client.run(context.signal);
        return context.interruption();
      }
      const end = settled ?? (await client.runOnce(context.signal, options.again));
      return end.outcome === 'interrupted' ? context.interruption() : endCode(end);
    } catch (error) {
      // As in a power cut: this process writes nothing more to the disk.
      if (error instanceof DevicePowerCut) process.kill(process.pid, 'SIGKILL');
      throw error;
    } finally {
      await lock.release();
    }
  });
}

export function status(options: FolderOptions): Promise<void> {
  return runCommand(options, async (context) => {
    if (!existsSync(options.stateDir)) {
      throw new InputError('--state-dir', `${options.stateDir} does not exist`);
    }
    const shown = await readDeviceStatus(await DiskStorage.open(options.stateDir));
    context.emit(shown);
    for (const line of statusLines(shown)) context.say(line);
    return ExitCode.success;
  });
}

/** The default factory image, so that every device has an image that boots. */
async function factoryImage({ image, model }: EnrollOptions) {
  if (image === undefined) {
    return { image: new TextEncoder().encode(`can-ota device ${model} 0.0.0\n`), version: '0.0.0' };
  }
  try {
    return { image: Uint8Array.from(await readFile(image.file)), version: image.version };
  } catch (error) {
    throw new InputError('--image', fileFault(image.file, error), { cause: error });
  }
}

function refusalCode(code: string): ExitCode {
  if (code === 'TOKEN_REQUIRED' || code === 'TOKEN_EXPIRED' || code === 'ROLE')
    return ExitCode.usage;
  return code.startsWith('DEVICE_')
    ? ExitCode.securityValidationFailed
    : ExitCode.backendUnavailable;
}

/** Codes by which the device itself refuses a download. */
const INTEGRITY = ['DIGEST_MISMATCH', 'LENGTH', 'DISCARDED', 'NO_CHUNK', 'CHUNK_SIZE'];
const SECURITY = ['SIGNATURE', 'PROFILE', 'MODEL', 'COUNTER', 'DECRYPTION', 'SERVER_NOT_AUTHENTIC'];

function endCode({ outcome, code = '' }: Exclude<CycleEnd, { outcome: 'interrupted' }>): ExitCode {
  switch (outcome) {
    case 'success':
      return ExitCode.success;
    case 'up-to-date':
      return ExitCode.upToDate;
    case 'rolled-back':
      return ExitCode.rollbackCompleted;
    case 'failed':
      if (code === 'NOTHING_RUNS') return ExitCode.rollbackFailed;
      if (INTEGRITY.includes(code)) return ExitCode.downloadIntegrityFailed;
      return SECURITY.includes(code)
        ? ExitCode.securityValidationFailed
        : ExitCode.backendUnavailable;
  }
}

function report(event: DeviceEvent, context: Context): void {
  const at = new Date(systemClock.wallMs()).toISOString();
  context.emit({ at, ...event });
  const text = eventText(event);
  if (text !== undefined) context.say(`${at} ${text}`);
}

function eventText(event: DeviceEvent): string | undefined {
  switch (event.kind) {
    case 'boot':
      return event.bank === null
        ? `nothing runs: ${event.reason}`
        : `runs ${event.version} from bank ${event.bank} (${event.mode}): ${event.reason}`;
    case 'boot-refused':
      return `bank ${event.bank} must not run: ${event.reason}`;
    case 'state':
      return event.reason === undefined ? event.state : `${event.state}: ${event.reason}`;
    case 'work':
      return `normal work ${event.running ? 'continues' : 'stops'} after ${event.beats} beats`;
    case 'package':
      return (
        `version ${event.version} (counter ${event.counter}): ${formatBytes(event.length)} in chunks of ${event.chunkBytes} bytes` +
        (event.resumedAt === 0 ? '' : `, ${formatBytes(event.resumedAt)} are here already`)
      );
    case 'progress':
      return event.received === event.total ? `${formatBytes(event.total)} received` : undefined;
    case 'trouble':
      return event.reason;
    case 'retry':
      return `again in ${formatDuration(event.delayMs)} (${event.retry} of ${event.of}): ${event.reason}`;
    case 'diagnostics':
      return `diagnostics: ${event.checks
        .map(({ check, ok, found }) => `${check} ${ok ? 'ok' : 'BAD'} (${found})`)
        .join(', ')}`;
    case 'outcome': {
      const { outcome, version, peakBytes, capacityBytes, reason } = event;
      const why = reason === undefined ? '' : `: ${reason}`;
      return `${outcome}${why}; runs ${version === '' ? 'nothing' : version}; working memory ${peakBytes} of ${capacityBytes} bytes`;
    }
    case 'next-check':
      return `checks again in ${formatDuration(event.inMs)}`;
  }
}

function statusLines(shown: SmallDeviceStatus): string[] {
  const { serial, model, state, version, bank, trial, counter, last, transfer, reason } = shown;
  const lines = [
    `${serial} (${model}, profile ${shown.profile}): ${state}${reason === null ? '' : `: ${reason}`}`,
    version === null
      ? 'no bank holds an image that may run'
      : `runs ${version} from bank ${bank}${trial ? ' on trial' : ''}, refuses counters below ${counter}`,
  ];
  if (transfer !== null) {
    lines.push(`fetches ${transfer.version} (${formatBytes(transfer.length)})`);
  }
  if (last !== null) {
    const why = last.reason === null ? '' : `: ${last.reason}`;
    lines.push(`last: ${last.outcome} at ${last.at}${why}`);
  }
  if (shown.owesReport) lines.push('the backend does not have this result yet');
  lines.push(`normal work: ${shown.beats} beats; working memory: at most ${shown.peakBytes} bytes`);
  return lines;
}
