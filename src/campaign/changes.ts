// What a campaign has changed in each ECU, as the drivers reported it. Rollback, reset and messages depend on it.

import type { Changed, EcuStep } from './ports.ts';

interface EcuChange {
  /** Whether an image was written beside the running one; a rollback discards it. */
  readonly staging: Changed;
  /** Whether the running image, or the one that starts next, was changed. */
  readonly activation: Changed;
}
/** Changes by ECU name; an ECU without an entry was not changed. */
export type Changes = ByEcu<EcuChange>;

export type ByEcu<T> = Readonly<Record<string, T>>;

const NONE: EcuChange = { staging: 'no', activation: 'no' };
const WEIGHT: Readonly<Record<Changed, number>> = { no: 0, unknown: 1, yes: 2 };

export function worse(a: Changed, b: Changed): Changed {
  return WEIGHT[a] >= WEIGHT[b] ? a : b;
}

function changeOf(changes: Changes, ecu: string): EcuChange {
  return changes[ecu] ?? NONE;
}

/** What was changed in the ECU as a whole: the worse of staging and activation. */
export function changedIn(changes: Changes, ecu: string): Changed {
  const { staging, activation } = changeOf(changes, ecu);
  return worse(staging, activation);
}

/** Whether the activation of the ECU has begun or may have begun. */
export function isTouched(changes: Changes, ecu: string): boolean {
  return changeOf(changes, ecu).activation !== 'no';
}

/** Adds what a step has changed; a later report never lowers an earlier one. */
export function noted(
  changes: Changes,
  step: EcuStep,
  ecus: readonly string[],
  changed: Changed,
): Changes {
  const part = step === 'stage' ? 'staging' : 'activation';
  const news = ecus.flatMap((ecu): [string, EcuChange][] => {
    const before = changeOf(changes, ecu);
    const after = worse(before[part], changed);
    return after === before[part] ? [] : [[ecu, { ...before, [part]: after }]];
  });
  return news.length === 0 ? changes : { ...changes, ...Object.fromEntries(news) };
}
