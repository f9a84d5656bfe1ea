// Forbids real time during a strict simulation: a program that uses it gets an error, and the run fails with it.

/** The real timers, taken before anything could replace them. */
export const realTimers = { setImmediate, clearImmediate, setTimeout, clearTimeout };

export interface RealTimeGuard {
  /** Restores the original functions. */
  remove(): void;
  /** Kind of work that threads or the kernel got since the guard was set; undefined when there is none. */
  realWork(): string | undefined;
}

export interface GuardedBy {
  /** A program asked for real time. It gets `error` thrown and may ignore it; the run must not. */
  onViolation(error: Error): void;
  /** Time must stand still until the returned function is called: a foreign immediate has to run first. */
  hold(what: string): () => void;
}

/** Kinds of `process.getActiveResourcesInfo()` that finish at an unknown real time: files, names, sockets, zlib. */
const REAL_WORK = /^(FSReq|GetAddrInfo|GetNameInfo|TCP|UDP|DNS|Zlib|.*(Job|Request)$)/;

function activeWork(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) {
    if (REAL_WORK.test(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return counts;
}

/**
 * Replaces `setTimeout`, `setInterval` and `AbortSignal.timeout` by functions that throw. `setImmediate` holds
 * the time until it ran. Node's own modules keep the real timers; their work shows in `realWork`.
 */
export function guardRealTime(guarded: GuardedBy): RealTimeGuard {
  const before = activeWork();
  const original = {
    setTimeout: globalThis.setTimeout,
    setInterval: globalThis.setInterval,
    setImmediate: globalThis.setImmediate,
    clearImmediate: globalThis.clearImmediate,
    abortTimeout: AbortSignal.timeout,
  };
  const refuse = (what: string) => (): never => {
    const error = new Error(`${what} in a simulation: wait on the Clock that was handed in`);
    guarded.onViolation(error);
    throw error;
  };
  const releases = new WeakMap<NodeJS.Immediate, () => void>();
  const heldImmediate = (call: (...args: unknown[]) => void, ...args: unknown[]) => {
    const release = guarded.hold('setImmediate');
    const immediate = realTimers.setImmediate(() => {
      release();
      call(...args);
    });
    releases.set(immediate, release);
    return immediate;
  };
  const clear = (immediate: NodeJS.Immediate | undefined): void => {
    if (immediate !== undefined) releases.get(immediate)?.();
    realTimers.clearImmediate(immediate);
  };
  Object.assign(globalThis, {
    setTimeout: refuse('setTimeout'),
    setInterval: refuse('setInterval'),
    setImmediate: heldImmediate,
    clearImmediate: clear,
  });
  AbortSignal.timeout = refuse('AbortSignal.timeout');
  return {
    remove: () => {
      const { abortTimeout, ...globals } = original;
      Object.assign(globalThis, globals);
      AbortSignal.timeout = abortTimeout;
    },
    realWork: () => {
      for (const [kind, count] of activeWork()) {
        if (count > (before.get(kind) ?? 0)) return kind;
      }
      return undefined;
    },
  };
}
