// Records during a step whether its requests have changed the ECU.

import { worse } from '../campaign/changes.ts';
import type { Changed } from '../campaign/ports.ts';
import { Nrc } from '../uds/nrc.ts';
import { type Exchanged, failure, type Refusal } from './exchange.ts';

/** Refusals that can come after the work has begun. All others come before it, because conditions are checked first. */
const AFTER_THE_BEGINNING: ReadonlySet<number> = new Set([
  Nrc.generalReject,
  Nrc.noResponseFromSubnetComponent,
  Nrc.failurePreventsExecutionOfRequestedAction,
  Nrc.transferDataSuspended,
  Nrc.generalProgrammingFailure,
]);

export class ChangeFact {
  readonly #changing: (() => Promise<boolean>) | undefined;
  #value: Changed = 'no';

  /** `changing`: see `DriverHooks`. */
  constructor(changing?: () => Promise<boolean>) {
    this.#changing = changing;
  }

  get value(): Changed {
    return this.#value;
  }

  /** Adds a change that was known before or is known without a request. */
  join(changed: Changed): void {
    this.#value = worse(this.#value, changed);
  }

  /** Sends a request that can change the ECU, and returns its answer. */
  async by<T>(doing: string, send: () => Promise<Exchanged<T>>): Promise<Exchanged<T>> {
    if (!(await this.begin())) return failure('INTERRUPTED', `stopped before ${doing}`, true);
    const answer = await send();
    if (answer.ok) this.join('yes');
    else if (mayHaveBegun(answer)) this.join('unknown');
    return answer;
  }

  /** Announces that the next request can change the ECU. False: the step is no longer wanted. */
  async begin(): Promise<boolean> {
    return (await this.#changing?.()) ?? true;
  }
}

function mayHaveBegun({ nrc, pended, repeated }: Refusal): boolean {
  // ISO 14229-1 annex A.1: a request with responsePending was accepted, so its work had begun before the refusal.
  if (nrc === undefined || repeated === true || pended === true) return true;
  return AFTER_THE_BEGINNING.has(nrc);
}
