// What a schema found wrong in a vehicle file, for the person who wrote it: the field, what was meant, what is expected.

import type { z } from 'zod';
import { closestHint, closestName } from './closest-name.ts';

/** A mistake in the file. */
export interface SchemaFault {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  /** The name at the end of the path is wrong, not what stands there. */
  readonly isName?: boolean;
}

type Issue = z.core.$ZodIssue;
type Schema = z.core.$ZodType;

/**
 * The first mistake in `value`, which `schema` refused with `issues`. An unknown name comes first, because it is often
 * the reason why another name is missing.
 */
export function schemaFault(
  schema: Schema,
  issues: readonly [Issue, ...Issue[]],
  value: unknown,
): SchemaFault {
  const all = issues.flatMap(flatten);
  const issue = all.find(({ code }) => code === 'unrecognized_keys') ?? all[0] ?? issues[0];
  const { path } = issue;
  switch (issue.code) {
    case 'unrecognized_keys': {
      const [key = ''] = issue.keys;
      const hint = closestName(key, namesAt(schema, path, value));
      return { path: [...path, key], message: `Unrecognized key: "${key}"${hint}`, isName: true };
    }
    case 'invalid_value':
      return { path, message: wordMessage(valueAt(value, path), issue.values) };
    case 'invalid_union':
      return { path, message: unionMessage(issue, valueAt(value, path)) };
    case 'invalid_key':
      return { path, message: issue.issues[0]?.message ?? issue.message, isName: true };
    default:
      return { path, message: issue.message };
  }
}

/** Issues of the variant of a union whose type fits; the other variants expect another type. */
function flatten(issue: Issue): Issue[] {
  if (issue.code !== 'invalid_union') return [issue];
  const meant = issue.errors.find((branch) => branch.every(({ path }) => path.length > 0));
  if (meant === undefined || meant.length === 0) return [issue];
  return meant
    .map((inner): Issue => ({ ...inner, path: [...issue.path, ...inner.path] }))
    .flatMap(flatten);
}

function unionMessage(issue: Extract<Issue, { code: 'invalid_union' }>, found: unknown): string {
  const options = 'options' in issue ? issue.options : undefined;
  if (options !== undefined) return wordMessage(found, options);
  const flat = issue.errors.flat();
  const words = flat.flatMap((inner) => (inner.code === 'invalid_value' ? inner.values : []));
  const hint = typeof found === 'string' ? closestHint(found, words.map(String)) : '';
  if (hint !== '') return `"${found}" is not known${hint}`;
  const others = flat.flatMap((inner) =>
    inner.code === 'invalid_type'
      ? [inner.expected]
      : inner.code === 'invalid_format' && inner.pattern !== undefined
        ? [`a text like ${inner.pattern}`]
        : [],
  );
  if (others.length === 0 && words.length > 0) return wordMessage(found, words);
  const expected = [...new Set([...words.map((word) => JSON.stringify(word)), ...others])];
  return `Invalid input: expected ${expected.join(' or ')}`;
}

/** `"normel" is not one of them; did you mean "normal"?` */
function wordMessage(found: unknown, words: readonly unknown[]): string {
  const list = words.map(String);
  if (typeof found === 'string') return `"${found}" is not known${closestName(found, list)}`;
  const was = found === undefined ? 'is missing' : `${JSON.stringify(found)} is not known`;
  return `${was}: expected ${list.length === 1 ? '' : 'one of '}${list.join(', ')}`;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value;
  for (const step of path) {
    at =
      typeof at === 'object' && at !== null
        ? (at as Record<PropertyKey, unknown>)[step]
        : undefined;
  }
  return at;
}

/** Names of fields that may stand in the object at `path`; those that stand there already are left out. */
function namesAt(schema: Schema, path: readonly PropertyKey[], value: unknown): string[] {
  let schemas = variantsOf(schema);
  for (const step of path) schemas = schemas.flatMap((one) => below(one, step).flatMap(variantsOf));
  const found = valueAt(value, path) as Readonly<Record<string, unknown>>;
  const shapes = schemas.map(shapeOf).filter((shape) => shape !== undefined);
  // Of objects that a word tells apart, the one with the word that stands there.
  const fitting = shapes.filter((shape) =>
    Object.entries(shape).every(([name, inner]) => {
      const words = wordsOf(inner);
      return words === undefined || words.includes(found[name]);
    }),
  );
  const names = (fitting.length > 0 ? fitting : shapes).flatMap((shape) => Object.keys(shape));
  return [...new Set(names)].filter((name) => !Object.hasOwn(found, name));
}

/** What may be written where `schema` stands, without its wrappers: defaults, conversions, variants. */
function variantsOf(schema: Schema): Schema[] {
  const def = definition(schema);
  if (def.options !== undefined) return def.options.flatMap(variantsOf);
  const inner = def.type === 'pipe' ? def.in : def.innerType;
  return inner === undefined ? [schema] : variantsOf(inner);
}

function below(schema: Schema, step: PropertyKey): Schema[] {
  const def = definition(schema);
  const inner = def.shape?.[String(step)] ?? def.element ?? def.valueType;
  return inner === undefined ? [] : [inner];
}

function shapeOf(schema: Schema): Readonly<Record<string, Schema>> | undefined {
  return definition(schema).shape;
}

function wordsOf(schema: Schema): readonly unknown[] | undefined {
  const { type, values } = definition(schema);
  return type === 'literal' ? values : undefined;
}

interface Definition {
  readonly type: string;
  readonly shape?: Readonly<Record<string, Schema>>;
  readonly options?: readonly Schema[];
  readonly element?: Schema;
  readonly valueType?: Schema;
  readonly innerType?: Schema;
  readonly in?: Schema;
  readonly values?: readonly unknown[];
}

/** The parts of zod's own description that are looked at here. */
function definition(schema: Schema): Definition {
  return schema._zod.def as Definition;
}
