// The backend's interface for operators: configuration, commands and measured data of vehicles.

import type { z } from 'zod';
import type { CommandRequest, CommandState } from '../contract/command.ts';
import type { WantedParameters } from '../contract/configuration.ts';
import { MAX_ANSWER_BYTES, pathOf, type WithAnswer } from '../contract/endpoint.ts';
import { cancelCommand } from '../contract/endpoints/commands/cancel.ts';
import { showCatalogue } from '../contract/endpoints/commands/catalogue.ts';
import { listCommands } from '../contract/endpoints/commands/list.ts';
import { orderCommand } from '../contract/endpoints/commands/order.ts';
import { showCommand } from '../contract/endpoints/commands/show.ts';
import { changeConfiguration } from '../contract/endpoints/configuration/change.ts';
import { showConfiguration } from '../contract/endpoints/configuration/show.ts';
import { listSamples } from '../contract/endpoints/telemetry/list-samples.ts';
import { CanOtaError, InputError } from '../core/errors.ts';
import {
  answer,
  BackendConnection,
  type BackendOptions,
  type Credentials,
} from './backend-connection.ts';

/** The backend refuses a valid request because of its present state. The code is that of the backend. */
export class RefusedError extends CanOtaError {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

type AnswerOf<E extends WithAnswer<z.ZodType>> = Readonly<z.output<E['response']['body']>>;

export type ConfigurationReply = AnswerOf<typeof showConfiguration>;
export type ConfigurationVersion = NonNullable<ConfigurationReply['wanted']>;
export type ChangeReply = AnswerOf<typeof changeConfiguration>;
export type CommandReply = AnswerOf<typeof showCommand>;
export type CatalogueReply = AnswerOf<typeof showCatalogue>;
export type TelemetryReply = AnswerOf<typeof listSamples>;

export type NewCommand = Pick<CommandRequest, 'ecu' | 'action' | 'arguments' | 'priority'> & {
  readonly key: string;
  readonly expiresInS?: number;
};

/** All methods throw InputError for an invalid request, RefusedError for a conflict, and BackendError. */
export class OperatorBackend {
  readonly #connection: Pick<BackendConnection, 'send'>;

  constructor(connection: Pick<BackendConnection, 'send'>) {
    this.#connection = connection;
  }

  static async logIn(options: BackendOptions, credentials: Credentials): Promise<OperatorBackend> {
    return new OperatorBackend(await BackendConnection.logIn(options, credentials));
  }

  configuration(vin: string): Promise<ConfigurationReply> {
    return this.#ask(showConfiguration, pathOf(showConfiguration, { vin }));
  }

  /** Changes the configuration if `expected` is still the wanted version; else RefusedError `CONFIGURATION_CHANGED`. */
  configure(
    vin: string,
    change: {
      readonly parameters: WantedParameters;
      readonly comment?: string | undefined;
      readonly expected: number;
    },
  ): Promise<ChangeReply> {
    const { expected, ...wish } = change;
    return this.#ask(changeConfiguration, pathOf(changeConfiguration, { vin }), wish, {
      'if-match': `"${expected}"`,
    });
  }

  order(vin: string, command: NewCommand): Promise<CommandReply> {
    return this.#ask(orderCommand, pathOf(orderCommand, { vin }), command);
  }

  command(vin: string, id: string): Promise<CommandReply> {
    return this.#ask(showCommand, pathOf(showCommand, { vin, id }));
  }

  /** The rows, the newest first. */
  async commands(
    vin: string,
    filter: { readonly state?: CommandState; readonly limit: number },
  ): Promise<readonly CommandReply[]> {
    const path = `${pathOf(listCommands, { vin })}?${query(filter)}`;
    return (await this.#ask(listCommands, path)).commands;
  }

  cancel(vin: string, id: string): Promise<CommandReply> {
    return this.#ask(cancelCommand, pathOf(cancelCommand, { vin, id }));
  }

  catalogue(vin: string): Promise<CatalogueReply> {
    return this.#ask(showCatalogue, pathOf(showCatalogue, { vin }));
  }

  /** The rows, the newest first. */
  telemetry(
    vin: string,
    filter: { readonly did?: string; readonly since?: string; readonly limit: number },
  ): Promise<TelemetryReply> {
    return this.#ask(listSamples, `${pathOf(listSamples, { vin })}?${query(filter)}`);
  }

  async #ask<T extends z.ZodType>(
    { method, response }: WithAnswer<T>,
    path: string,
    body?: object,
    headers?: Readonly<Record<string, string>>,
  ): Promise<z.output<T>> {
    const doing = `request ${method} ${path.split('?', 1)[0]}`;
    const json =
      body === undefined
        ? {}
        : {
            headers: { 'content-type': 'application/json', ...headers },
            body: JSON.stringify(body),
          };
    const reply = await this.#connection.send(
      doing,
      path,
      { method, ...json },
      { allowed: [400, 404, 409, 422], maxBytes: response.maxBytes ?? MAX_ANSWER_BYTES },
    );
    if (reply.ok) return answer(reply, response.body, doing);
    if (reply.status === 409) throw new RefusedError(reply.code, reply.why);
    throw new InputError(reply.code, reply.why);
  }
}

function query(filter: Readonly<Record<string, string | number>>): string {
  return new URLSearchParams(
    Object.entries(filter).map(([name, value]): [string, string] => [name, String(value)]),
  ).toString();
}
