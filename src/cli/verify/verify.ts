// `can-ota verify`: one full verification of a Director and an image repository, with the vehicle's own verifier.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { CanOtaError, describeError, InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { lockFolder } from '../../core/lock.ts';
import { defined } from '../../core/optional.ts';
import { itemAt, present } from '../../core/present.ts';
import { DiskStorage } from '../../core/storage.ts';
import { fileFault } from '../../core/text-file.ts';
import { type NetworkOptions, networkOf } from '../../link/network.ts';
import { readIdentity } from '../../onboard/vehicle-secrets.ts';
import { faultText } from '../../trust/attack.ts';
import type { EcuFacts, RepositoryName } from '../../trust/full-verification.ts';
import { type CommonOptions, runCommand } from '../context.ts';
import { type ReportFacts, reportJson, reportLines } from './report.ts';
import { REPOSITORIES, runVerification, type VerifyJob, type VerifyResult } from './run.ts';
import { vehicleFetch } from './session.ts';
import { repositorySource } from './source.ts';

export interface VerifyCommandOptions extends CommonOptions, NetworkOptions {
  readonly director: string;
  readonly images: string;
  readonly ecu: readonly string[];
  readonly hardware: readonly string[];
  readonly state: string;
  readonly profile: 'strict' | 'aktualizr';
  readonly directorRoot?: string;
  readonly imagesRoot?: string;
  readonly vin?: string;
  readonly identity?: string;
  /** In ms since 1970. */
  readonly time?: number;
  readonly counter?: number;
  readonly primary?: boolean;
  readonly save?: string;
}

export function verify(options: VerifyCommandOptions): Promise<void> {
  return runCommand(options, async (context) => {
    try {
      return await verifyOnce(options, context);
    } catch (error) {
      if (context.signal.aborted || error instanceof InputError) throw error;
      return failed(error, context);
    }
  });
}

/** Neither verified nor refused, so the result is not reliable: exit code 1, with `attack` null. */
function failed(error: unknown, context: Context): ExitCode {
  const code = error instanceof CanOtaError ? error.code : 'INTERNAL';
  const reason = describeError(error);
  process.stderr.write(`can-ota: could not verify: ${reason}\n`);
  if (code === 'INTERNAL' && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  context.emit({ ok: false, attack: null, error: code, reason });
  return ExitCode.internal;
}

async function verifyOnce(options: VerifyCommandOptions, context: Context): Promise<ExitCode> {
  const { profile, save } = options;
  const nowMs = options.time ?? Math.floor(systemClock.wallMs());
  const ecus = ecusOf(options);
  if (save !== undefined && profile !== 'strict') {
    throw new InputError('--save', 'ECUs take a bundle of the profile strict only');
  }
  const facts: ReportFacts = {
    profile,
    nowMs,
    clock: options.time === undefined ? 'machine' : 'option',
    serials: ecus.map(({ serial }) => serial),
  };
  const job = await jobOf(options, nowMs, ecus, context);
  // Two runs at once could replace a newer state by an older one.
  const lock = await lockFolder(options.state);
  const result = await runVerification(job).finally(() => lock.release());
  for (const line of reportLines(result, facts)) context.say(line);
  context.emit(reportJson(result, facts));
  if (!result.outcome.ok) {
    process.stderr.write(`can-ota: refused: ${faultText(result.outcome)}\n`);
    return ExitCode.internal; // 1: refused, the only other code
  }
  if (save !== undefined) await saveBundle(result, itemAt(ecus, 0).serial, save);
  return ExitCode.success;
}

async function jobOf(
  options: VerifyCommandOptions,
  nowMs: number,
  ecus: readonly EcuFacts[],
  { signal }: Context,
): Promise<VerifyJob> {
  const { profile } = options;
  const identity =
    options.identity === undefined ? undefined : await readIdentity(options.identity, '--identity');
  const network = await networkOf(options, options.director, options.images);
  const source = (name: RepositoryName) =>
    repositorySource(name, options[name], profile, {
      signal,
      fetch:
        identity === undefined || name !== 'director'
          ? network.fetch
          : vehicleFetch(
              identity,
              present(options.identity, '--identity'),
              options.director,
              network,
            ),
    });
  return {
    sources: { director: await source('director'), images: await source('images') },
    anchors: await anchorsOf(options),
    storage: await DiskStorage.openOwn(options.state),
    dialect: profile,
    nowMs,
    vin: options.vin ?? identity?.vin,
    ecus,
    // aktualizr is a Primary: it knows all its ECUs, and a further one is an attack (5.4.4.6 step 8).
    primary: options.primary ?? profile === 'aktualizr',
    warn: (text) => void process.stderr.write(`can-ota: ${text}\n`),
  };
}

/** Pairs `--ecu` and `--hardware` in their order. */
function ecusOf({ ecu, hardware, counter }: VerifyCommandOptions): EcuFacts[] {
  if (ecu.length !== hardware.length) {
    throw new InputError(
      '--hardware',
      `one for each --ecu: there are ${ecu.length} of --ecu and ${hardware.length} of --hardware`,
    );
  }
  const twice = ecu.find((serial, index) => ecu.indexOf(serial) !== index);
  if (twice !== undefined) throw new InputError('--ecu', `${twice} is named twice`);
  if (counter !== undefined && ecu.length > 1) {
    throw new InputError('--counter', 'applies to a single ECU: give exactly one --ecu');
  }
  return ecu.map((serial, index) => ({
    serial,
    hardwareId: itemAt(hardware, index),
    ...defined({ releaseCounter: counter }),
  }));
}

async function anchorsOf(options: VerifyCommandOptions): Promise<VerifyJob['anchors']> {
  const anchors: Partial<Record<RepositoryName, Uint8Array>> = {};
  for (const name of REPOSITORIES) {
    const file = options[`${name}Root`];
    if (file === undefined) continue;
    try {
      anchors[name] = Uint8Array.from(await readFile(file));
    } catch (error) {
      throw new InputError(`--${name}-root`, fileFault(file, error), { cause: error });
    }
  }
  return anchors;
}

/** Writes the whole bundle or nothing. */
async function saveBundle(result: VerifyResult, serial: string, file: string): Promise<void> {
  const storage = await DiskStorage.open(path.dirname(file));
  await storage.replace(path.basename(file), result.bundle(serial));
}
