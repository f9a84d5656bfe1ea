// Writes a verified image, boots it on trial, and confirms it or falls back. It can be repeated from any instant.

import type { PackageKey } from '../contract/chunked/package-cipher.ts';
import { defined } from '../core/optional.ts';
import { present } from '../core/present.ts';
import { activated, fellBack, otherBank, writing } from './boot-record.ts';
import type { Ended, SmallDevice } from './device.ts';
import type { DeviceBackend } from './device-backend.ts';
import type { DeviceReport, DeviceTransfer } from './device-state.ts';
import { type CheckResult, checkFindings, complaint } from './diagnostics.ts';
import { writeStaged } from './install.ts';
import { Staging } from './staging.ts';

export interface TrialOptions {
  readonly device: SmallDevice;
  readonly backend: DeviceBackend;
  /** Key for the image of the package. */
  readonly to: () => PackageKey;
  /** Free working memory for the software in bytes. */
  readonly freeBytes: () => number;
}

/**
 * Finishes the state `applying`, also after a power cut; the boot record decides what remains to be done. `interrupted`
 * keeps the state, and the next start continues.
 */
export async function settle(
  options: TrialOptions,
  signal: AbortSignal,
): Promise<Ended | { readonly outcome: 'interrupted' }> {
  const { device } = options;
  const { record } = device.bootloader;
  const { running } = device;
  const transfer = present(device.file.transfer, 'the transfer of the package');
  const { manifest } = transfer.package;
  if (running?.trial === true) return prove(options, transfer, signal);
  if (record.left?.sha256 === manifest.sha256) {
    return comeBack(device, transfer, 'BOOT', record.left.reason);
  }
  if (running?.sha256 === manifest.sha256 && running.counter === manifest.counter) {
    return finish(device, transfer);
  }
  const fault = await apply(options, transfer);
  if (fault !== undefined) return fault;
  await device.boot();
  return settle(options, signal);
}

/** Writes the image to the inactive bank. Undefined: the next boot tries it. */
async function apply(
  { device, to }: TrialOptions,
  transfer: DeviceTransfer,
): Promise<Ended | undefined> {
  const { bootloader, storage, memory, faults } = device;
  const { manifest } = transfer.package;
  const bank = otherBank(bootloader.record.active);
  await bootloader.store(writing(bootloader.record));
  const staging = await Staging.open(storage, transfer, memory);
  try {
    const staged = { manifest, sha256: transfer.sha256, to: to(), staging, memory };
    const written = await writeStaged(staged, storage, bank, faults.badFlash === true);
    if (!written.ok) return await giveUp(device, transfer, written.code, written.reason);
  } finally {
    await staging.close();
  }
  const { version, counter, length, sha256 } = manifest;
  const signed = JSON.stringify(transfer.package);
  await bootloader.store(
    activated(bootloader.record, { version, counter, length, sha256, signed }),
  );
  return undefined;
}

/** Runs the diagnostics of the new software, and confirms it or falls back. */
async function prove(
  { device, backend, freeBytes }: TrialOptions,
  transfer: DeviceTransfer,
  signal: AbortSignal,
): Promise<Ended | { readonly outcome: 'interrupted' }> {
  const { version } = transfer.package.manifest;
  const reached = await backend.reach(signal);
  if (signal.aborted) return { outcome: 'interrupted' };
  const found = checkFindings(
    { ...reached, freeBytes: freeBytes(), version: device.version },
    version,
  );
  const { badDiagnostics } = device.faults;
  const checks = found.map((each) =>
    each.check === badDiagnostics ? { ...each, ok: false, found: 'a fault on purpose' } : each,
  );
  device.onEvent({ kind: 'diagnostics', checks });
  const { bootloader } = device;
  const bad = complaint(checks, version);
  if (bad === undefined) {
    await device.confirm();
    return finish(device, transfer, checks);
  }
  await bootloader.store(fellBack(bootloader.record, bad));
  await device.boot();
  return comeBack(device, transfer, 'DIAGNOSTICS', bad, checks);
}

async function finish(
  device: SmallDevice,
  transfer: DeviceTransfer,
  checks: readonly CheckResult[] = [],
): Promise<Ended> {
  const report = reportOf(device, transfer, { outcome: 'success' }, checks);
  const last = device.lastOf({ outcome: 'success' });
  await device.enter('completed', { transfer: null, report, last, rolledBack: null });
  return { outcome: 'success' };
}

async function comeBack(
  device: SmallDevice,
  transfer: DeviceTransfer,
  code: string,
  why: string,
  checks: readonly CheckResult[] = [],
): Promise<Ended> {
  const { manifest } = transfer.package;
  if (device.running === undefined) {
    const reason = `${manifest.version} does not run (${why}), and neither does the previous image`;
    return giveUp(device, transfer, 'NOTHING_RUNS', reason);
  }
  const reason = `the device rolled back from ${manifest.version}: ${why}`.slice(0, 500);
  const ended = { outcome: 'rolled-back', code, reason } as const;
  const report = reportOf(device, transfer, ended, checks);
  const last = device.lastOf(ended);
  const { sha256: rolledBack } = manifest;
  await device.enter('rollback', { transfer: null, report, last, rolledBack, code, reason });
  return ended;
}

/** Gives up the update. The running image was not changed, or no image runs. */
async function giveUp(
  device: SmallDevice,
  transfer: DeviceTransfer,
  code: string,
  reason: string,
): Promise<Ended> {
  const ended = { outcome: 'failed', code, reason } as const;
  const report = reportOf(device, transfer, ended);
  const last = device.lastOf(ended);
  await device.enter('error', { transfer: null, report, last, code, reason });
  return ended;
}

export function reportOf(
  device: SmallDevice,
  { id, package: { manifest } }: DeviceTransfer,
  { outcome, code, reason }: Pick<DeviceReport, 'outcome' | 'code' | 'reason'>,
  checks: readonly CheckResult[] = [],
): DeviceReport {
  const diagnostics = Object.fromEntries(checks.map(({ check, found }) => [check, found]));
  return {
    transfer: id,
    version: device.version === '' ? manifest.version : device.version,
    outcome,
    ...defined({ code, reason: reason?.slice(0, 500) }),
    ...(checks.length === 0 ? {} : { diagnostics }),
  };
}
