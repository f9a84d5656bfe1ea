// Values that a caller knows to exist and the compiler does not: an item of a list, the value of a map.

/** The item at `index`; throws RangeError where the list ends before it. */
export function itemAt<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError(`no item ${index} in a list of ${list.length}`);
  return item;
}

/** Returns `value`, which must not be missing here; otherwise throws an error that names `what`. */
export function present<T>(value: T | null | undefined, what: string): T {
  if (value === undefined || value === null) throw new Error(`${what} is missing`);
  return value;
}

/** Returns the value of `key`; where the map has none, adds and returns the value that `make` returns. */
export function getOrAdd<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const value = make();
  map.set(key, value);
  return value;
}
