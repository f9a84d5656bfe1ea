// The published JSON schema, made from the zod schema of the loader, and the reference page made from it.

import { z } from 'zod';
import { FIELD_TEXTS } from './field-texts.ts';
import { vehicleSchema } from './schema.ts';

type Schema = Readonly<Record<string, unknown>>;

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
  return { ...described(schema as Schema, ''), title: 'can-ota vehicle description' };
}

/** Paths of all fields, once each, in the order of the schema. */
export function fieldPaths(): string[] {
  return [...new Set([...fields(vehicleJsonSchema(), '')].map(({ path }) => path))];
}

function below(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

/** The same schema with a description at each field. */
function described(schema: Schema, path: string): Record<string, unknown> {
  const copy: Record<string, unknown> = { ...schema };
  const text = FIELD_TEXTS.get(path);
  if (text !== undefined) copy.description = text;
  for (const keyword of ['anyOf', 'oneOf']) {
    // Variants have no text: the field has it.
    const variants = schema[keyword] as readonly Schema[] | undefined;
    if (variants !== undefined) {
      copy[keyword] = variants.map((variant) => {
        const { description: _, ...rest } = described(variant, path);
        return rest;
      });
    }
  }
  const properties = schema.properties as Record<string, Schema> | undefined;
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

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null;
}

interface Field {
  readonly path: string;
  readonly schema: Schema;
  readonly required: boolean;
}

function* fields(schema: Schema, path: string): Generator<Field> {
  const properties = (schema.properties ?? {}) as Record<string, Schema>;
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
    for (const variant of (schema[keyword] ?? []) as readonly Schema[])
      yield* fields(variant, path);
  }
}

/** The text of docs/vehicle-file.md. */
export function vehicleFilePage(): string {
  const rows = new Map<string, Field & { readonly types: string[] }>();
  for (const field of fields(vehicleJsonSchema(), '')) {
    const row = rows.get(field.path) ?? { ...field, types: [] };
    // Variants of an object tell themselves apart by another constant in the same field.
    row.types.push(typeText(field.schema));
    rows.set(field.path, row);
  }
  const sections = new Map<string, string[]>();
  for (const { path, schema, required, types } of rows.values()) {
    if (path.endsWith('[]') || path.endsWith('NAME') || path === '$schema') continue;
    const at = path.lastIndexOf('.');
    const section = at < 0 ? '' : path.slice(0, at);
    const name = path.slice(at + 1);
    const cells = [
      `\`${name}\``,
      [...new Set(types)].join(', '),
      required ? 'required' : defaultText(schema),
      schema.description ?? '',
    ];
    sections.set(section, [...(sections.get(section) ?? []), `| ${cells.join(' | ')} |`]);
  }
  const parts = [...sections].map(([section, lines]) => {
    const title = section === '' ? 'The file' : `\`${section}\``;
    const text = FIELD_TEXTS.get(section) ?? '';
    const head = '| field | what | default | meaning |\n|---|---|---|---|';
    return `## ${title}\n\n${text === '' ? '' : `${text}\n\n`}${head}\n${lines.join('\n')}\n`;
  });
  return `${INTRODUCTION}\n${parts.join('\n')}`;
}

const INTRODUCTION = `# Vehicle file

One YAML file describes a vehicle for every command (\`--vehicle\`). \`can-ota vehicle init\` writes one to begin with
from what answers on the bus, or from a template; \`can-ota vehicle check FILE\` checks one, and \`can-ota vehicle schema\` prints the JSON schema, by which editors complete and check it. This page
is made from that schema (\`npm run schema\`). \`[]\` is an entry of a list, \`NAME\` a key that you choose. Numbers may be written as 0x...
`;

function typeText(schema: Schema): string {
  const values = schema.enum as readonly unknown[] | undefined;
  if (values !== undefined) return values.map((value) => `\`${value}\``).join(', ');
  if (schema.const !== undefined) return `\`${schema.const}\``;
  const variants = (schema.anyOf ?? schema.oneOf) as readonly Schema[] | undefined;
  if (variants !== undefined) {
    return [...new Set(variants.map(typeText))].join(' or ').replace('integer or text', 'integer');
  }
  if (schema.type === 'string') return 'text';
  if (schema.type === 'object') return schema.properties === undefined ? 'by name' : 'fields';
  if (schema.type === 'array') return 'list';
  const { minimum, maximum } = schema as { minimum?: number; maximum?: number };
  const isBound = (limit: number | undefined): limit is number =>
    limit !== undefined && Number.isFinite(limit) && Math.abs(limit) < Number.MAX_SAFE_INTEGER;
  const range = isBound(minimum) && isBound(maximum) ? ` ${minimum} to ${maximum}` : '';
  return `${schema.type}${range}`;
}

function defaultText(schema: Schema): string {
  const { default: value } = schema;
  if (value === undefined || (isSchema(value) && Object.keys(value).length === 0)) return '';
  return `\`${isHex(schema) ? hexText(value) : JSON.stringify(value)}\``;
}

/** It may be written as 0x..., as identifiers and addresses are. */
function isHex({ anyOf = [], pattern }: Schema): boolean {
  return String(pattern).startsWith('^0x') || (anyOf as readonly Schema[]).some(isHex);
}

/** Whole bytes. */
function hexText(value: unknown): string {
  const digits = Number(value).toString(16).toUpperCase();
  return `0x${digits.padStart(digits.length + (digits.length % 2), '0')}`;
}
