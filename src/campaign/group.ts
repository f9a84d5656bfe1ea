// Ranks: which ECUs are worked on together, forwards and backwards.

import type { Plan, PlanItem } from './plan.ts';

/** The lowest rank in which something is left to do; empty when all are done. */
export function nextGroup({ items }: Plan, done: Iterable<string>): PlanItem[] {
  const names = new Set(done);
  const left = items.filter(({ ecu }) => !names.has(ecu));
  const rank = Math.min(...left.map(({ order }) => order));
  return left.filter(({ order }) => order === rank);
}

/** The highest rank of those that still go back. */
export function lastGroup({ items }: Plan, pending: Iterable<string>): PlanItem[] {
  const names = new Set(pending);
  const left = items.filter(({ ecu }) => names.has(ecu));
  const rank = Math.max(...left.map(({ order }) => order));
  return left.filter(({ order }) => order === rank).reverse();
}

/** Staging is bound by the buses alone: the first on each that is not staged yet. */
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

/** What is right for one ECU must not touch what the others of its group have gathered. */
export function without<T>(
  map: Readonly<Record<string, T>>,
  ecu: string,
): Readonly<Record<string, T>> {
  if (map[ecu] === undefined) return map;
  return Object.fromEntries(Object.entries(map).filter(([name]) => name !== ecu));
}
