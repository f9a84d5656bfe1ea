// The text of docs/vehicle-file.md: a table of fields and examples for each section of the published schema.

import { FIELD_EXAMPLES, homeOfExample, sectionAround } from './field-examples.ts';
import { FIELD_TEXTS } from './field-texts.ts';
import { type Field, isSchema, type JsonSchema, schemaFields } from './json-schema.ts';

/** Sections with the same fields stand under one heading, such as the limits of all kinds of failure. */
interface Section {
  readonly paths: readonly string[];
  readonly table: string;
}

export function vehicleFilePage(): string {
  return `${INTRODUCTION}\n${sections().map(sectionText).join('\n')}`;
}

const INTRODUCTION = `# Vehicle file

One YAML file describes a vehicle for every command (\`--vehicle\`). \`can-ota vehicle init\` writes one to begin with,
from what answers on the bus or from a template, \`can-ota vehicle check FILE\` checks one, and \`can-ota vehicle schema\` prints the JSON schema, by which editors complete and check it. This page
is made from that schema (\`npm run schema\`). \`[]\` is an entry of a list, \`NAME\` a key that you choose. Numbers may be written as 0x...

The first example is a whole file. Each other one replaces fields of it: under a heading that begins with \`ecus[].\` fields of an
ECU, elsewhere fields of the file. Several examples under one heading are alternatives. The test suite loads every example.
`;

function sections(): Section[] {
  const rows = new Map<string, Field & { readonly types: string[] }>();
  for (const field of schemaFields()) {
    const row = rows.get(field.path) ?? { ...field, types: [] };
    // Variants of an object tell themselves apart by another constant in the same field.
    row.types.push(typeText(field.schema));
    rows.set(field.path, row);
  }
  const lines = new Map<string, string[]>();
  for (const { path, schema, required, types } of rows.values()) {
    if (path.endsWith('[]') || path.endsWith('NAME')) continue;
    const section = sectionAround(path) ?? '';
    const cells = [
      `\`${lastName(path)}\``,
      [...new Set(types)].join(', '),
      required ? 'required' : defaultText(schema),
      schema.description ?? '',
    ];
    lines.set(section, [...(lines.get(section) ?? []), `| ${cells.join(' | ')} |`]);
  }
  const alike = new Map<string, Section>();
  for (const [path, own] of lines) {
    const table = own.join('\n');
    const key = `${sectionAround(path)}\n${table}`;
    alike.set(key, { paths: [...(alike.get(key)?.paths ?? []), path], table });
  }
  return [...alike.values()];
}

function sectionText({ paths, table }: Section): string {
  const texts = new Set(paths.map((path) => FIELD_TEXTS.get(path) ?? ''));
  const [text = ''] = texts.size === 1 ? texts : [];
  const head = '| field | what | default | meaning |\n|---|---|---|---|';
  return `## ${title(paths)}\n\n${text === '' ? '' : `${text}\n\n`}${head}\n${table}\n\n${examplesText(paths)}\n`;
}

function title([path = '', ...others]: readonly string[]): string {
  if (path === '') return 'The file';
  return [path, ...others.map(lastName)].map((name) => `\`${name}\``).join(', ');
}

function examplesText([path = '']: readonly string[]): string {
  const blocks = FIELD_EXAMPLES.get(path);
  if (blocks !== undefined) return blocks.map((text) => `\`\`\`yaml\n${text}\n\`\`\``).join('\n\n');
  const home = title([homeOfExample(path)]);
  return `Example: see [${home}](#${anchor(home)}).`;
}

/** As GitHub makes it of a heading. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^a-z0-9 _-]/g, '')
    .replaceAll(' ', '-');
}

function lastName(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}

function typeText(schema: JsonSchema): string {
  const values = schema.enum as readonly unknown[] | undefined;
  if (values !== undefined) return values.map((value) => `\`${value}\``).join(', ');
  if (schema.const !== undefined) return `\`${schema.const}\``;
  const variants = (schema.anyOf ?? schema.oneOf) as readonly JsonSchema[] | undefined;
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

function defaultText(schema: JsonSchema): string {
  const { default: value } = schema;
  if (value === undefined || (isSchema(value) && Object.keys(value).length === 0)) return '';
  return `\`${isHex(schema) ? hexText(value) : JSON.stringify(value)}\``;
}

/** It may be written as 0x..., as identifiers and addresses are. */
function isHex({ anyOf = [], pattern }: JsonSchema): boolean {
  return String(pattern).startsWith('^0x') || (anyOf as readonly JsonSchema[]).some(isHex);
}

/** Whole bytes. */
function hexText(value: unknown): string {
  const digits = Number(value).toString(16).toUpperCase();
  return `0x${digits.padStart(digits.length + (digits.length % 2), '0')}`;
}
