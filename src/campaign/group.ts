// Ranks: which ECUs are updated or rolled back together.

import type { Plan, PlanItem } from './plan.ts';

/** The items of the lowest rank that is not done; empty when all are done. */
export function nextGroup({ items }: Plan, done: Iterable<string>): PlanItem[] {
  const names = new Set(done);
  const left = items.filter(({ ecu }) => !names.has(ecu));
  const rank = Math.min(...left.map(({ order }) => order));
  return left.filter(({ order }) => order === rank);
}

/** The items of the highest rank that must still be rolled back. */
export function lastGroup({ items }: Plan, pending: Iterable<string>): PlanItem[] {
  const names = new Set(pending);
  const left = items.filter(({ ecu }) => names.has(ecu));
  const rank = Math.max(...left.map(({ order }) => order));
  return left.filter(({ order }) => order === rank).reverse();
}

/** Staging is limited by the buses only: the first item on each bus that is not staged yet. */
export function nextPerBus({ items }: Plan, done: Iterable<string>): PlanItem[] {
  const names = new Set(done);
  const first = new Map<string, PlanItem>();
  for (const item of items) {
    if (!names.has(item.ecu) && !first.has(item.bus)) first.set(item.bus, item);
  }
  return [...first.values()];
}

export function includes(group: readonly PlanItem[], ecu: string): boolean {
  return group.some((item) => item.ecu === ecu);
}

/** The record without the entry of one ECU; the entries of the other ECUs stay. */
export function without<T>(
  map: Readonly<Record<string, T>>,
  ecu: string,
): Readonly<Record<string, T>> {
  if (map[ecu] === undefined) return map;
  return Object.fromEntries(Object.entries(map).filter(([name]) => name !== ecu));
}
