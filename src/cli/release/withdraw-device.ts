// `can-ota release withdraw-device`: withdraws a package, which is then not offered any more.

import type { Profile } from '../../contract/chunked/package.ts';
import { systemClock } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { networkOf } from '../../link/network.ts';
import { ReleaseBackend } from '../../signing/release-backend.ts';
import { type CommonOptions, runCommand } from '../context.ts';
import { credentialsOf, type LogInOptions } from './release.ts';

interface WithdrawOptions extends CommonOptions, LogInOptions {
  readonly server: string;
  readonly profile: Profile;
  readonly reason: string;
}

export function withdrawDevice(
  model: string,
  version: string,
  options: WithdrawOptions,
): Promise<void> {
  return runCommand(options, async (context) => {
    const { server: url, profile, reason } = options;
    const { fetch } = await networkOf(options, url);
    const backend = await ReleaseBackend.logIn(
      { url, clock: systemClock, signal: context.signal, fetch },
      await credentialsOf(options),
    );
    await withdraw({ context, backend }, { model, version, profile, reason });
    return ExitCode.success;
  });
}

/** A repeated withdrawal is no error. Throws InputError for a package that does not exist, BackendError. */
export async function withdraw(
  {
    context,
    backend,
  }: {
    readonly context: Pick<Context, 'say' | 'emit'>;
    readonly backend: Pick<ReleaseBackend, 'withdrawPackage'>;
  },
  wish: {
    readonly model: string;
    readonly version: string;
    readonly profile: Profile;
    readonly reason: string;
  },
): Promise<void> {
  if (wish.reason.trim() === '')
    throw new InputError('--reason', 'is empty: say why; the audit log keeps it');
  const done = await backend.withdrawPackage(wish);
  context.emit({ ...done });
  const { model, version, withdrawn, changed, stopped, offered } = done;
  context.say(
    changed
      ? `${model} ${version} is withdrawn; ${stopped.length} downloads of it were stopped`
      : `${model} ${version} was withdrawn already, by ${withdrawn.by} at ${withdrawn.at}: ${withdrawn.reason}`,
  );
  context.say(
    offered === null
      ? `No package is offered to ${model} now: release a new one with can-ota release device`
      : `Offered to ${model} now: ${offered.version}, counter ${offered.counter}. Devices that run a higher counter keep what they run.`,
  );
}
