// Schemas of what operators send, as JSON of tools and as fields of forms.

import { z } from 'zod';
import {
  type Catalogue,
  COMMAND_STATES,
  type CommandRequest,
  commandRequest,
} from '../../../src/contract/command.ts';
import { didName, wantedParameters } from '../../../src/contract/configuration.ts';
import { parseJsonText } from '../../../src/core/json.ts';
import { parseInput } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { notesText } from '../../platform/http/input.ts';
import { LONGEST_EXPIRY_S } from './store.ts';

const COMMANDS_SHOWN = 100;
const MOST_COMMANDS = 500;
const SAMPLES_SHOWN = 1000;
const MOST_SAMPLES = 20_000;

const comment = notesText
  .nullish()
  .transform((text) => (text == null || text === '' ? undefined : text));

export const configurationBody = z.strictObject({ parameters: wantedParameters, comment });

/** With the CSRF token, which is looked at before. */
const configurationForm = z.object({
  parameters: z.string().max(20_000),
  comment,
  version: z.coerce.number().int().min(0).optional(),
});

/** Throws HttpProblem 400. */
export function configurationOfForm(value: unknown): {
  readonly body: z.output<typeof configurationBody>;
  readonly expected: number | undefined;
} {
  const { parameters: text, comment: why, version } = parseInput(configurationForm, value);
  let parameters: unknown;
  try {
    parameters = parseJsonText(text);
  } catch (cause) {
    const detail = `parameters: not JSON: ${(cause as Error).message}`;
    throw new HttpProblem(400, 'BAD_JSON', detail, { cause });
  }
  return {
    body: parseInput(configurationBody, { parameters, comment: why }),
    expected: version,
  };
}

/** `If-Match: 3`; undefined without one. Throws HttpProblem 400. */
export function expectedVersion(header: string): number | undefined {
  if (header === '' || header === '*') return undefined;
  const [, version] = /^"?(\d{1,10})"?$/.exec(header) ?? [];
  if (version !== undefined) return Number(version);
  throw new HttpProblem(400, 'BAD_FIELD', 'If-Match: expected the number of a version, such as 3');
}

const expiresInS = z.coerce
  .number('expected seconds')
  .int('expected whole seconds')
  .min(1)
  .max(LONGEST_EXPIRY_S);

export const commandBody = commandRequest
  .extend({ expiresInS: expiresInS.optional() })
  .refine(
    (body) => body.expiresAt === undefined || body.expiresInS === undefined,
    'expected expiresAt or expiresInS, not both',
  );

const commandForm = z.looseObject({
  command: z.string().max(64),
  expiresInS,
  priority: z.coerce.number(),
  key: z.string().max(64),
});

/** Fields named `argument.NAME` are its arguments. Throws HttpProblem 400. */
export function commandOfForm(
  value: unknown,
  catalogue: Catalogue | undefined,
): CommandRequest & { readonly expiresInS?: number | undefined } {
  const { command, expiresInS: lastsS, priority, key, ...fields } = parseInput(commandForm, value);
  const [ecu = '', action = ''] = command.split('.');
  const described = own(own(catalogue, ecu), action)?.arguments;
  const given: Record<string, number | string> = {};
  for (const [field, text] of Object.entries(fields)) {
    const [, name] = /^argument\.(.+)$/.exec(field) ?? [];
    if (name === undefined) continue;
    const isNumber = own(described, name)?.type === 'number' && String(text).trim() !== '';
    given[name] = isNumber ? Number(text) : String(text);
  }
  return parseInput(commandBody, {
    ...{ ecu, action, arguments: given, priority, key },
    expiresInS: lastsS,
  });
}

function own<T>(record: Readonly<Record<string, T>> | undefined, name: string): T | undefined {
  return record !== undefined && Object.hasOwn(record, name) ? record[name] : undefined;
}

const limit = (usual: number, most: number) =>
  z.coerce.number('expected a number').int().min(1).max(most).default(usual);

export const commandsQuery = z.object({
  state: z.enum(COMMAND_STATES, `expected one of ${COMMAND_STATES.join(', ')}`).optional(),
  limit: limit(COMMANDS_SHOWN, MOST_COMMANDS),
});

export const telemetryQuery = z.object({
  did: didName.optional(),
  since: z.iso
    .datetime({ offset: true, error: 'expected a time such as 2026-01-31T12:00:00Z' })
    .transform((text) => new Date(text).toISOString())
    .optional(),
  limit: limit(SAMPLES_SHOWN, MOST_SAMPLES),
  /** For links, which cannot say what they accept. */
  format: z.enum(['json', 'csv'], 'expected json or csv').optional(),
});
