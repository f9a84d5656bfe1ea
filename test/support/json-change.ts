// One change to a copy of a JSON value, for tests of what a signature covers.

/**
 * A deep copy in which the field at `path` (`signed/nonces/0`) is `value`; undefined takes the field away. A function
 * gets the old value.
 */
export function withChange(json: unknown, path: string, value: unknown): unknown {
  const copy = structuredClone({ json });
  const names = ['json', ...path.split('/')];
  const last = names.pop()!;
  let place = copy as unknown as Record<string, unknown>;
  for (const name of names) {
    const inner = place[name];
    if (typeof inner !== 'object' || inner === null) throw new Error(`${path}: no ${name}`);
    place = inner as Record<string, unknown>;
  }
  const next = typeof value === 'function' ? value(place[last]) : value;
  if (next === undefined) delete place[last];
  else place[last] = next;
  return copy.json;
}
