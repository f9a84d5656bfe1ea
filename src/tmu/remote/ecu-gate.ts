// Access to an ECU: either a campaign or one of the remote features, which take turns.

/**
 * A campaign claims all its ECUs from the moment when it may touch them: it waits for the feature that is inside, and
 * no other enters. A feature inside never waits for a campaign, so there is no deadlock.
 */
export class EcuGate {
  readonly #inside = new Map<string, number>();
  #claimed: ReadonlySet<string> = new Set();
  readonly #waiting = new Set<() => void>();

  /** The campaign occupies these ECUs from now on; its earlier claims end. */
  claim(ecus: Iterable<string>): void {
    this.#claimed = new Set(ecus);
    this.#look();
  }

  isClaimed(ecu: string): boolean {
    return this.#claimed.has(ecu);
  }

  /** Whether a campaign has begun to touch the vehicle. */
  get isAnyClaimed(): boolean {
    return this.#claimed.size > 0;
  }

  /** Resolves when no feature is at a claimed ECU any more; false when the signal came first. */
  async settled(signal: AbortSignal): Promise<boolean> {
    return this.#until(() => [...this.#claimed].every((ecu) => !this.#inside.has(ecu)), signal);
  }

  /** Returns a function that leaves the ECU again; undefined while the ECU is claimed or occupied. */
  tryEnter(ecu: string): (() => void) | undefined {
    if (this.#claimed.has(ecu) || this.#inside.has(ecu)) return undefined;
    return this.#goIn(ecu);
  }

  /** Like `tryEnter`, but waits for its turn; undefined when the signal came first. */
  async enter(ecu: string, signal: AbortSignal): Promise<(() => void) | undefined> {
    let leave: (() => void) | undefined;
    await this.#until(() => {
      leave = this.tryEnter(ecu);
      return leave !== undefined;
    }, signal);
    return leave;
  }

  /** For work that began before a restart and before any claim: the campaign waits for it. */
  resume(ecu: string): () => void {
    return this.#goIn(ecu);
  }

  #goIn(ecu: string): () => void {
    this.#inside.set(ecu, (this.#inside.get(ecu) ?? 0) + 1);
    let isInside = true;
    return () => {
      if (!isInside) return;
      isInside = false;
      const left = (this.#inside.get(ecu) ?? 0) - 1;
      if (left > 0) this.#inside.set(ecu, left);
      else this.#inside.delete(ecu);
      this.#look();
    };
  }

  async #until(condition: () => boolean, signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      if (condition()) return true;
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        this.#waiting.add(wake);
        signal.addEventListener('abort', wake, { once: true });
      });
    }
    return false;
  }

  #look(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}
