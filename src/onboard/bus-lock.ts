// One tester at a time on a bus: a process that programs holds the bus's lock, and other testers are warned or refused.

import type { CanBus } from '../bus/can-bus.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { CanOtaError, describeError } from '../core/errors.ts';
import { type FolderLock, type LockOwner, lockName, nameOwner } from '../core/lock.ts';

/** Another process is the tester on this bus. */
export class BusInUseError extends CanOtaError {
  readonly code = 'BUS_IN_USE';

  constructor(bus: CanBus, owner: LockOwner) {
    super(
      `${beside(bus, owner)}, and two testers that program disturb each other: wait for its end or stop it; ` +
        '--beside goes on anyway',
    );
  }
}

/** Beside another tester: `refuse` throws; `warn` goes on with a warning, and takes the lock when it is free. */
export type BesideTester = 'refuse' | 'warn';

export interface BusLockOptions {
  /** Name of the command, for messages of other processes. */
  readonly command: string;
  readonly besideTester: BesideTester;
  /** Prints a line for people on standard error. */
  readonly warn: (line: string) => void;
  readonly clock?: Clock;
  /** The process that started this one: a bench holds the bus for its TMU. */
  readonly parentPid?: number;
}

/** Time between two attempts to get the lock from another tester. */
const AGAIN_MS = 5000;
/** Number of attempts: an owner that ends between our attempt and our question leaves the lock free. */
const TRIES = 3;

/**
 * Takes the lock of `bus` until it is released. The lock ends with its process, also after kill -9, and needs no folder,
 * for which the user could lack the permission. Throws BusInUseError.
 */
export async function lockBus(bus: CanBus, options: BusLockOptions): Promise<FolderLock> {
  const { command, besideTester, warn, clock = systemClock } = options;
  const parentPid = options.parentPid ?? process.ppid;
  const name = lockNameOf(bus);
  let owner: LockOwner | undefined;
  for (let tries = 0; owner === undefined && tries < TRIES; tries++) {
    try {
      const lock = await lockName(name, command);
      if (lock !== undefined) return lock;
    } catch (error) {
      warn(
        `${busText(bus)} cannot be locked, so that other testers do not notice this one: ${describeError(error)}`,
      );
      return { release: async () => {} };
    }
    owner = await nameOwner(name);
  }
  owner ??= { pid: undefined, purpose: undefined };
  if (owner.pid === parentPid) return { release: async () => {} };
  if (besideTester === 'refuse') throw new BusInUseError(bus, owner);
  warn(`${beside(bus, owner)}: the two may disturb each other`);
  return lockWhenFree(name, command, clock);
}

/** Warns when another process is the tester on `bus`. Locks nothing. */
export async function tellTester(bus: CanBus, warn: (line: string) => void): Promise<void> {
  const owner = await nameOwner(lockNameOf(bus));
  if (owner !== undefined) warn(`${beside(bus, owner)}: its messages are on the bus, too`);
}

function lockWhenFree(name: string, command: string, clock: Clock): FolderLock {
  let released = false;
  let lock: FolderLock | undefined;
  const attempt = async (): Promise<void> => {
    const got = await lockName(name, command).catch(() => undefined);
    if (released) await got?.release();
    else if (got === undefined) timer = clock.after('bus-lock', AGAIN_MS, again);
    else lock = got;
  };
  const again = (): void => {
    if (!released) void attempt();
  };
  let timer = clock.after('bus-lock', AGAIN_MS, again);
  return {
    release: async () => {
      released = true;
      timer.cancel();
      await lock?.release();
    },
  };
}

/** All users of the machine share an interface, but each user has separate local buses. */
function lockNameOf(bus: CanBus): string {
  return bus.kind === 'local'
    ? `bus-local-${process.getuid?.() ?? 0}-${bus.name}`
    : `bus-${bus.kind}-${bus.name}`;
}

function busText(bus: CanBus): string {
  return bus.kind === 'local' ? `local:${bus.name}` : bus.name;
}

function beside(bus: CanBus, { pid, purpose }: LockOwner): string {
  const who = purpose === undefined ? 'another process' : `can-ota ${purpose}`;
  return `${busText(bus)}: ${who}${pid === undefined ? '' : ` (process ${pid})`} is the tester on this bus`;
}
