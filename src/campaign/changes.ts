// What a campaign has changed in each ECU, as the drivers told it: undo, reset and words follow from this.

import type { Changed, EcuStep } from './ports.ts';

interface EcuChange {
  /** An image beside the running one: it is forgotten on the way back. */
  readonly staging: Changed;
  /** What runs, or is going to run. */
  readonly activation: Changed;
}
/** An ECU that is not in it was not changed. */
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

/** Of the ECU as a whole. */
export function changedIn(changes: Changes, ecu: string): Changed {
  const { staging, activation } = changeOf(changes, ecu);
  return worse(staging, activation);
}

/** Its activation has begun, or may have. */
export function isTouched(changes: Changes, ecu: string): boolean {
  return changeOf(changes, ecu).activation !== 'no';
}

/** A later word does not take an earlier one back. */
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
