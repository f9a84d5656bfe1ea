// The forms of the pages, made into what tools send as JSON.

import type { z } from 'zod';
import type { Catalogue, CommandRequest } from '../../../src/contract/command.ts';
import { orderCommand } from '../../../src/contract/endpoints/commands/order.ts';
import {
  changeConfiguration,
  submitConfiguration,
} from '../../../src/contract/endpoints/configuration/change.ts';
import { parseJsonText } from '../../../src/core/json.ts';
import { parseInput } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';

/** Throws HttpProblem 400. */
export function configurationOfForm(value: unknown): {
  readonly body: z.output<typeof changeConfiguration.request.body>;
  readonly expected: number | undefined;
} {
  const {
    parameters: text,
    comment: why,
    version,
  } = parseInput(submitConfiguration.request.form, value);
  let parameters: unknown;
  try {
    parameters = parseJsonText(text);
  } catch (cause) {
    const detail = `parameters: not JSON: ${(cause as Error).message}`;
    throw new HttpProblem(400, 'BAD_JSON', detail, { cause });
  }
  return {
    body: parseInput(changeConfiguration.request.body, { parameters, comment: why }),
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

/** Fields named `argument.NAME` are its arguments. Throws HttpProblem 400. */
export function commandOfForm(
  value: unknown,
  catalogue: Catalogue | undefined,
): CommandRequest & { readonly expiresInS?: number | undefined } {
  const {
    command,
    expiresInS: lastsS,
    priority,
    key,
    ...fields
  } = parseInput(orderCommand.request.form, value);
  const [ecu = '', action = ''] = command.split('.');
  const described = own(own(catalogue, ecu), action)?.arguments;
  const given: Record<string, number | string> = {};
  for (const [field, text] of Object.entries(fields)) {
    const [, name] = /^argument\.(.+)$/.exec(field) ?? [];
    if (name === undefined) continue;
    const isNumber = own(described, name)?.type === 'number' && String(text).trim() !== '';
    given[name] = isNumber ? Number(text) : String(text);
  }
  return parseInput(orderCommand.request.body, {
    ...{ ecu, action, arguments: given, priority, key },
    expiresInS: lastsS,
  });
}

function own<T>(record: Readonly<Record<string, T>> | undefined, name: string): T | undefined {
  return record !== undefined && Object.hasOwn(record, name) ? record[name] : undefined;
}
