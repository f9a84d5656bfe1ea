// Optional members of an object: with `exactOptionalPropertyTypes` a member that is undefined is not the same as
// a member that is absent.

/** `T` in which each member that may be undefined is optional instead, and never undefined. */
export type Defined<T> = {
  [Key in keyof T as undefined extends T[Key] ? never : Key]: T[Key];
} & {
  [Key in keyof T as undefined extends T[Key] ? Key : never]?: Exclude<T[Key], undefined>;
};

/**
 * The members that are not undefined, in their order: `{ id, ...defined({ code, reason }) }` has
 * a `code` only where there is one. `null`, `false`, `0` and `''` stay.
 */
export function defined<T extends object>(members: T): Defined<T> {
  const found: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(members)) {
    if (value !== undefined) found[key] = value;
  }
  return found as Defined<T>;
}
