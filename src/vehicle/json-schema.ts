// The published JSON schema, made from the zod schema of the loader, and its fields.

import { z } from 'zod';
import { FIELD_TEXTS } from './field-texts.ts';
import { vehicleSchema } from './schema.ts';

export type JsonSchema = Readonly<Record<string, unknown>>;

/** JSON schema (draft 2020-12) of the file as written, without defaults filled in. */
export function vehicleJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(vehicleSchema, {
    io: 'input',
    target: 'draft-2020-12',
    // Zod leaves out the default of what is read in several forms, such as 0x10 for 16. Each of ours may be written down.
    override: ({ zodSchema: { _zod: inner }, jsonSchema }) => {
      const { def } = inner;
      if (def.type !== 'default' || isSchema(def.defaultValue)) return;
      jsonSchema.default ??= def.defaultValue as string | number | boolean;
    },
  });
  return { ...described(schema as JsonSchema, ''), title: 'can-ota vehicle description' };
}

/** All fields in the order of the schema; a field of several variants occurs several times. */
export function schemaFields(): Field[] {
  return [...fields(vehicleJsonSchema(), '')];
}

/** Paths of all fields, once each, in the order of the schema. */
export function fieldPaths(): string[] {
  return [...new Set(schemaFields().map(({ path }) => path))];
}

function below(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

/** The same schema with a description at each field. */
function described(schema: JsonSchema, path: string): Record<string, unknown> {
  const copy: Record<string, unknown> = { ...schema };
  const text = FIELD_TEXTS.get(path);
  if (text !== undefined) copy.description = text;
  for (const keyword of ['anyOf', 'oneOf']) {
    // Variants have no text: the field has it.
    const variants = schema[keyword] as readonly JsonSchema[] | undefined;
    if (variants !== undefined) {
      copy[keyword] = variants.map((variant) => {
        const { description: _, ...rest } = described(variant, path);
        return rest;
      });
    }
  }
  const properties = schema.properties as Record<string, JsonSchema> | undefined;
  if (properties !== undefined) {
    copy.properties = Object.fromEntries(
      Object.entries(properties).map(([name, inner]) => [
        name,
        described(inner, below(path, name)),
      ]),
    );
  }
  if (isSchema(schema.items)) copy.items = described(schema.items, `${path}[]`);
  if (isSchema(schema.additionalProperties)) {
    copy.additionalProperties = described(schema.additionalProperties, below(path, 'NAME'));
  }
  return copy;
}

export function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null;
}

export interface Field {
  readonly path: string;
  readonly schema: JsonSchema;
  readonly required: boolean;
}

function* fields(schema: JsonSchema, path: string): Generator<Field> {
  const properties = (schema.properties ?? {}) as Record<string, JsonSchema>;
  const required = (schema.required ?? []) as readonly string[];
  for (const [name, inner] of Object.entries(properties)) {
    const place = below(path, name);
    yield { path: place, schema: inner, required: required.includes(name) };
    yield* fields(inner, place);
  }
  const inner: [unknown, string][] = [
    [schema.items, `${path}[]`],
    [schema.additionalProperties, below(path, 'NAME')],
  ];
  for (const [value, place] of inner) {
    if (!isSchema(value)) continue;
    yield { path: place, schema: value, required: false };
    yield* fields(value, place);
  }
  for (const keyword of ['anyOf', 'oneOf']) {
    for (const variant of (schema[keyword] ?? []) as readonly JsonSchema[])
      yield* fields(variant, path);
  }
}
