// One try of one command at its ECU: probe, record that it begins, run, and find out what happened.

import { checkCommand } from '../../contract/command.ts';
import type { Configuration } from '../../contract/configuration.ts';
import type { EcuServices, RunResult } from '../../contract/ecu-services.ts';
import { describeError } from '../../core/errors.ts';
import type { Logger } from '../../core/logger.ts';
import type { BackendTime } from './backend-time.ts';
import type { CommandEnding, CommandEntry } from './command-entry.ts';

/** The next step with a command. */
export type Attempted =
  | { readonly kind: 'ended'; readonly ending: CommandEnding }
  /** It was not executed, and trying again is safe. `begun`: the journal says that it has begun. */
  | {
      readonly kind: 'again';
      readonly code: string;
      readonly reason: string;
      readonly begun: boolean;
    }
  /** It may have been executed. */
  | { readonly kind: 'doubt'; readonly reason: string }
  | { readonly kind: 'interrupted' };

export interface AttemptOptions {
  readonly ecus: EcuServices;
  readonly time: BackendTime;
  readonly limits: () => Configuration['limits'];
  readonly isCancelled: (id: string) => boolean;
  readonly logger: Logger;
  /** Durable when it resolves; from then on the command may have been executed. Throws StorageError. */
  readonly begin: (entry: CommandEntry, mark: string | null) => Promise<void>;
}

/** Tries a command that has not begun. */
export async function attempt(
  entry: CommandEntry,
  options: AttemptOptions,
  signal: AbortSignal,
): Promise<Attempted> {
  const { order } = entry;
  const before = obstacleOf(entry, options);
  if (before !== undefined) return before;
  const probed = await options.ecus.probe(order, signal);
  if (signal.aborted) return { kind: 'interrupted' };
  if (probed.kind === 'failed') {
    return { kind: 'again', code: probed.code, reason: probed.reason, begun: false };
  }
  // The command can expire or be cancelled during the probe.
  const meanwhile = obstacleOf(entry, options);
  if (meanwhile !== undefined) return meanwhile;
  await options.begin(entry, probed.kind === 'mark' ? probed.mark : null);
  return resultOf(await run(entry, options));
}

/** Finds out about a command that began before a restart, or whose answer was lost. */
export async function settle(
  entry: CommandEntry,
  mark: string | null,
  { ecus, logger }: Pick<AttemptOptions, 'ecus' | 'logger'>,
  signal: AbortSignal,
): Promise<Attempted> {
  const { ecu, action } = entry.order;
  if (mark === null) {
    const reason = `${ecu} was asked for ${action}, and nothing tells whether it did it: it may have run once, and is not run again`;
    return { kind: 'ended', ending: inDoubt(reason) };
  }
  let hasRun: 'yes' | 'no' | 'unknown' = 'unknown';
  try {
    hasRun = await ecus.hasRun(entry.order, mark, signal);
  } catch (error) {
    logger.error({ error: describeError(error) }, `${ecu} cannot be asked about ${action}`);
  }
  if (signal.aborted) return { kind: 'interrupted' };
  if (hasRun === 'unknown') {
    return { kind: 'doubt', reason: `${ecu} does not say whether ${action} ran` };
  }
  if (hasRun === 'yes') {
    const result = 'the answer was lost; the ECU says that it was done';
    return { kind: 'ended', ending: { state: 'completed', runs: 1, result } };
  }
  const reason = `${ecu} was asked for ${action} and says that it has not done it`;
  return { kind: 'again', code: 'SILENT', reason, begun: true };
}

export function inDoubt(reason: string): CommandEnding {
  return { state: 'failed', code: 'IN_DOUBT', reason, runs: 1 };
}

export function expired({ order }: CommandEntry): CommandEnding {
  const reason = `it was not begun by ${order.expiresAt}`;
  return { state: 'expired', reason, runs: 0 };
}

export const CANCELLED: CommandEnding = { state: 'cancelled', runs: 0 };

/** Why the command must not begin now, or ever. */
function obstacleOf(entry: CommandEntry, options: AttemptOptions): Attempted | undefined {
  const { order } = entry;
  if (options.isCancelled(order.id)) return { kind: 'ended', ending: CANCELLED };
  const nowMs = options.time.nowMs();
  if (nowMs === undefined) return { kind: 'interrupted' };
  if (nowMs >= Date.parse(order.expiresAt)) return { kind: 'ended', ending: expired(entry) };
  const checked = checkCommand(options.ecus.catalogue, order);
  if (!checked.ok) {
    const { code, reason } = checked;
    return { kind: 'ended', ending: { state: 'failed', code, reason, runs: 0 } };
  }
  const reason = beyondLimit(entry, options.limits());
  if (reason === undefined) return undefined;
  return { kind: 'ended', ending: { state: 'failed', code: 'LIMIT', reason, runs: 0 } };
}

function beyondLimit({ order }: CommandEntry, limits: Configuration['limits']): string | undefined {
  const own = Object.hasOwn(limits, order.ecu) ? limits[order.ecu] : undefined;
  for (const [limited, { min, max }] of Object.entries(own ?? {})) {
    const [action, argument = ''] = limited.split('.');
    const value = Object.hasOwn(order.arguments, argument) ? order.arguments[argument] : undefined;
    if (action !== order.action || typeof value !== 'number') continue;
    if (min !== undefined && value < min) return tooFar(argument, value, `at least ${min}`);
    if (max !== undefined && value > max) return tooFar(argument, value, `at most ${max}`);
  }
  return undefined;
}

function tooFar(argument: string, value: number, allowed: string): string {
  return `${argument} ${value} is beyond the limit of the configuration (limits): ${allowed}`;
}

/** Does not stop when the daemon ends: it takes as long as the ECU needs, and then the result is known. */
async function run({ order }: CommandEntry, { ecus, logger }: AttemptOptions): Promise<RunResult> {
  try {
    return await ecus.run(order, new AbortController().signal);
  } catch (error) {
    const reason = describeError(error);
    logger.error({ command: order.id, error: reason }, 'a command failed with an internal error');
    return { kind: 'in-doubt', reason };
  }
}

function resultOf(done: RunResult): Attempted {
  switch (done.kind) {
    case 'done': {
      const { result } = done;
      const ending = { state: 'completed', runs: 1 } as const;
      return { kind: 'ended', ending: result === undefined ? ending : { ...ending, result } };
    }
    case 'refused': {
      const { nrc, reason } = done;
      return {
        kind: 'ended',
        ending: { state: 'failed', code: 'REFUSED', nrc, reason, runs: 0 },
      };
    }
    case 'not-begun':
      return { kind: 'again', code: done.code, reason: done.reason, begun: true };
    case 'in-doubt':
      return { kind: 'doubt', reason: done.reason };
  }
}
