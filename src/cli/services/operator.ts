// Common parts of the operator's commands: the connection, waiting for a vehicle, and arguments of the form NAME=VALUE.

import { type Clock, sleep, systemClock } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { InputError } from '../../core/errors.ts';
import type { ExitCode } from '../../core/exit-code.ts';
import { networkOf } from '../../link/network.ts';
import { OperatorBackend } from '../../link/operator-backend.ts';
import { type CommonOptions, runCommand } from '../context.ts';
import { credentialsOf, type LogInOptions } from '../release/release.ts';

export interface OperatorOptions extends CommonOptions, LogInOptions {
  readonly server: string;
  /** Seconds to wait for the vehicle. */
  readonly wait?: number;
}

export interface OperatorWork {
  readonly context: Pick<Context, 'say' | 'emit' | 'signal'>;
  readonly backend: OperatorBackend;
  readonly clock: Clock;
}

/** Time between two requests for the vehicle's result. */
const LOOK_EVERY_MS = 2000;

export function withBackend(
  options: OperatorOptions,
  body: (work: OperatorWork) => Promise<ExitCode>,
): Promise<void> {
  return runCommand(options, async (context) => {
    const { fetch } = await networkOf(options, options.server);
    const backend = await OperatorBackend.logIn(
      { url: options.server, clock: systemClock, signal: context.signal, fetch },
      await credentialsOf(options),
    );
    return body({ context, backend, clock: systemClock });
  });
}

/** Calls `look` until `isEnough` or the time is over; returns the last result. Throws what `look` throws. */
export async function waitUntil<T>(
  { context, clock }: Pick<OperatorWork, 'context' | 'clock'>,
  waitS: number | undefined,
  first: T,
  look: () => Promise<T>,
  isEnough: (seen: T) => boolean,
): Promise<T> {
  const untilMs = clock.nowMs() + (waitS ?? 0) * 1000;
  let seen = first;
  while (!isEnough(seen) && clock.nowMs() < untilMs) {
    const pauseMs = Math.min(LOOK_EVERY_MS, untilMs - clock.nowMs());
    if ((await sleep(clock, 'vehicle', pauseMs, context.signal)) === 'aborted') {
      throw context.signal.reason;
    }
    seen = await look();
  }
  return seen;
}

/** `power=60 mode=eco dids=["INV.FD40"]`: a value is JSON where it parses as JSON, text otherwise. Throws InputError. */
export function assignments(given: readonly string[]): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const text of given) {
    const [, name, value] = /^([a-z][A-Za-z0-9]{0,31})=([\s\S]*)$/.exec(text) ?? [];
    if (name === undefined || value === undefined) {
      throw new InputError(text, 'expected NAME=VALUE, such as pollInterval=5');
    }
    if (Object.hasOwn(values, name)) throw new InputError(text, `${name} is given twice`);
    values[name] = jsonOrText(value);
  }
  return values;
}

function jsonOrText(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    // A value that begins like JSON must be JSON.
    if (!/^\s*[[{"]/.test(value)) return value;
    throw new InputError(value, 'expected JSON: is a quote or bracket missing?');
  }
}
