// The backend as an operator sees it: configuration, commands and measured data of vehicles.

import { z } from 'zod';
import {
  actionDescription,
  COMMAND_STATES,
  type CommandRequest,
  type CommandState,
} from '../contract/command.ts';
import { parameterResult, type WantedParameters } from '../contract/configuration.ts';
import { CanOtaError, InputError } from '../core/errors.ts';
import { defined } from '../core/optional.ts';
import {
  answer,
  BackendConnection,
  type BackendOptions,
  type Credentials,
} from './backend-connection.ts';

/** What was asked for is understood, and cannot be had now. The code is that of the backend. */
export class RefusedError extends CanOtaError {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

const json = z.unknown();
const text = z.string();
const configurationVersion = z.object({
  version: z.number(),
  parameters: z.record(z.string(), json),
  changedBy: text,
  changedAt: text,
  comment: text.optional(),
  report: z
    .object({
      results: z.array(parameterResult),
      inForce: z.record(z.string(), json),
      judgedAt: text,
      reportedAt: text,
    })
    .optional(),
});
export type ConfigurationVersion = Readonly<z.output<typeof configurationVersion>>;

const configurationReply = z.object({
  vin: text,
  wanted: configurationVersion.optional(),
  reported: configurationVersion.optional(),
  inForce: z.record(z.string(), json).optional(),
  pending: z.boolean(),
  parameters: z.array(
    z.object({
      parameter: text,
      title: text,
      unit: text,
      wanted: json.optional(),
      inForce: json.optional(),
      state: text,
      code: text.optional(),
      reason: text.optional(),
    }),
  ),
  history: z.array(configurationVersion),
});
export type ConfigurationReply = Readonly<z.output<typeof configurationReply>>;

const changeReply = z.object({
  vin: text,
  version: z.number(),
  changed: z.boolean(),
  warnings: z.array(z.object({ parameter: text, code: text, reason: text })),
});
export type ChangeReply = Readonly<z.output<typeof changeReply>>;

const commandReply = z.object({
  id: text,
  vin: text,
  ecu: text,
  action: text,
  arguments: z.record(z.string(), z.union([z.number(), z.string()])),
  priority: z.number(),
  expiresAt: text,
  key: text.optional(),
  createdBy: text,
  createdAt: text,
  state: z.enum(COMMAND_STATES),
  handedOutAt: text.optional(),
  deliveredAt: text.optional(),
  executingAt: text.optional(),
  endedAt: text.optional(),
  vehicleAt: text.optional(),
  cancelledBy: text.optional(),
  cancelledAt: text.optional(),
  code: text.optional(),
  reason: text.optional(),
  nrc: z.number().optional(),
  result: text.optional(),
  runs: z.number(),
});
export type CommandReply = Readonly<z.output<typeof commandReply>>;

const commandsReply = z.object({ commands: z.array(commandReply) });
const catalogueReply = z.object({
  vin: text,
  catalogue: z.record(z.string(), z.record(z.string(), actionDescription)),
  toldAt: text,
});
export type CatalogueReply = Readonly<z.output<typeof catalogueReply>>;

const telemetryReply = z.object({
  vin: text,
  counts: z.object({
    batches: z.number(),
    samples: z.number(),
    duplicates: z.number(),
    lost: z.number(),
    dropped: z.number(),
  }),
  samples: z.array(
    z.object({
      did: text,
      at: text,
      count: z.number(),
      mean: z.number().optional(),
      min: z.number().optional(),
      max: z.number().optional(),
      unit: text.optional(),
      raw: text.optional(),
      receivedAt: text,
    }),
  ),
});
export type TelemetryReply = Readonly<z.output<typeof telemetryReply>>;

export type NewCommand = Pick<CommandRequest, 'ecu' | 'action' | 'arguments' | 'priority'> & {
  readonly key: string;
  readonly expiresInS?: number;
};

/** Twenty thousand samples; fifty configurations with their reports. */
const MAX_ANSWER = 16 * 1024 * 1024;

/** All of it throws InputError for what is wrong with the question, RefusedError for a conflict, and BackendError. */
export class OperatorBackend {
  readonly #connection: Pick<BackendConnection, 'send'>;

  constructor(connection: Pick<BackendConnection, 'send'>) {
    this.#connection = connection;
  }

  static async logIn(options: BackendOptions, credentials: Credentials): Promise<OperatorBackend> {
    return new OperatorBackend(await BackendConnection.logIn(options, credentials));
  }

  configuration(vin: string): Promise<ConfigurationReply> {
    return this.#ask(pathOf('config', vin), { method: 'GET' }, configurationReply);
  }

  /** Only when `expected` is the version that is wanted still; RefusedError `CONFIGURATION_CHANGED` otherwise. */
  configure(
    vin: string,
    change: {
      readonly parameters: WantedParameters;
      readonly comment?: string | undefined;
      readonly expected: number;
    },
  ): Promise<ChangeReply> {
    const { parameters, comment, expected } = change;
    const init = body('PUT', { parameters, ...defined({ comment }) });
    const headers = { ...init.headers, 'if-match': `"${expected}"` };
    return this.#ask(pathOf('config', vin), { ...init, headers }, changeReply);
  }

  order(vin: string, command: NewCommand): Promise<CommandReply> {
    return this.#ask(pathOf('commands', vin), body('POST', command), commandReply);
  }

  command(vin: string, id: string): Promise<CommandReply> {
    return this.#ask(pathOf('commands', vin, id), { method: 'GET' }, commandReply);
  }

  /** The newest first. */
  async commands(
    vin: string,
    filter: { readonly state?: CommandState; readonly limit: number },
  ): Promise<readonly CommandReply[]> {
    const path = `${pathOf('commands', vin)}?${query(filter)}`;
    return (await this.#ask(path, { method: 'GET' }, commandsReply)).commands;
  }

  cancel(vin: string, id: string): Promise<CommandReply> {
    return this.#ask(pathOf('commands', vin, id), { method: 'DELETE' }, commandReply);
  }

  catalogue(vin: string): Promise<CatalogueReply> {
    return this.#ask(pathOf('commands', vin, 'catalogue'), { method: 'GET' }, catalogueReply);
  }

  /** The newest first. */
  telemetry(
    vin: string,
    filter: { readonly did?: string; readonly since?: string; readonly limit: number },
  ): Promise<TelemetryReply> {
    const path = `${pathOf('telemetry', vin)}?${query(filter)}`;
    return this.#ask(path, { method: 'GET' }, telemetryReply);
  }

  async #ask<T>(path: string, init: RequestInit, schema: z.ZodType<T>): Promise<T> {
    const doing = `request ${init.method} ${path.split('?', 1)[0]}`;
    const reply = await this.#connection.send(doing, path, init, {
      allowed: [400, 404, 409, 422],
      maxBytes: MAX_ANSWER,
    });
    if (reply.ok) return answer(reply, schema, doing);
    if (reply.status === 409) throw new RefusedError(reply.code, reply.why);
    throw new InputError(reply.code, reply.why);
  }
}

function pathOf(...parts: readonly string[]): string {
  return `/${parts.map(encodeURIComponent).join('/')}`;
}

function body(method: string, value: unknown): RequestInit & { headers: Record<string, string> } {
  return {
    method,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(value),
  };
}

function query(filter: Readonly<Record<string, string | number>>): string {
  return new URLSearchParams(
    Object.entries(filter).map(([name, value]): [string, string] => [name, String(value)]),
  ).toString();
}
