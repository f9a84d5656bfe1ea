// `can-ota command ...` and `can-ota telemetry ...`: orders for ECUs, their results, and measurements.

import { type ArgumentDescription, type CommandState, isFinal } from '../../contract/command.ts';
import { toHex } from '../../core/bytes.ts';
import { InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { defined } from '../../core/optional.ts';
import { type Random, systemRandom } from '../../core/random.ts';
import { printable, textTable } from '../../core/text-table.ts';
import type { CommandReply } from '../../link/operator-backend.ts';
import {
  assignments,
  type OperatorOptions,
  type OperatorWork,
  waitUntil,
  withBackend,
} from './operator.ts';

interface SendOptions extends OperatorOptions {
  readonly expires?: number;
  readonly priority: number;
  readonly key?: string;
}

export function sendCommand(
  vin: string,
  ecu: string,
  action: string,
  given: readonly string[],
  options: SendOptions,
): Promise<void> {
  const { expires: expiresInS, priority, key, wait: waitS } = options;
  return withBackend(options, (work) =>
    send({ ...work, random: systemRandom }, vin, {
      ...{ ecu, action, given, priority, waitS },
      ...defined({ key, expiresInS }),
    }),
  );
}

export function listCommands(
  vin: string,
  options: OperatorOptions & { readonly state?: CommandState; readonly limit: number },
): Promise<void> {
  return withBackend(options, (work) => list(work, vin, options));
}

export function showCommand(vin: string, id: string, options: OperatorOptions): Promise<void> {
  return withBackend(options, async ({ context, backend }) => {
    const command = await backend.command(vin, id);
    context.emit(command);
    context.say(textOf(command));
    for (const line of textTable(timesOf(command))) context.say(`  ${line}`);
    return ExitCode.success;
  });
}

export function cancelCommand(vin: string, id: string, options: OperatorOptions): Promise<void> {
  return withBackend(options, (work) => cancel(work, vin, id, options.wait));
}

export function showActions(vin: string, options: OperatorOptions): Promise<void> {
  return withBackend(options, async ({ context, backend }) => {
    const told = await backend.catalogue(vin);
    context.emit(told);
    const rows = Object.entries(told.catalogue).flatMap(([ecu, actions]) =>
      Object.entries(actions).map(([action, { title, arguments: forms }]) => [
        ...[ecu, action],
        Object.entries(forms).map(formText).join(' ') || '-',
        title,
      ]),
    );
    for (const line of textTable([['ECU', 'ACTION', 'ARGUMENTS', 'MEANING'], ...rows])) {
      context.say(line);
    }
    return ExitCode.success;
  });
}

export interface CommandWish {
  readonly ecu: string;
  readonly action: string;
  /** NAME=VALUE */
  readonly given: readonly string[];
  readonly priority: number;
  readonly expiresInS?: number;
  /** Key of a request that may have been sent before; missing: a new request. */
  readonly key?: string;
  readonly waitS?: number | undefined;
}

/**
 * `success`: ordered, and with `waitS` done; `preconditionFailed`: it failed, expired or was cancelled; `deferred`: it
 * has not ended within `waitS`.
 */
export async function send(
  work: OperatorWork & { readonly random: Random },
  vin: string,
  { ecu, action, given, priority, expiresInS, key, waitS }: CommandWish,
): Promise<ExitCode> {
  const { backend, random } = work;
  const ordered = await backend.order(vin, {
    ...{ ecu, action, priority, arguments: argumentsOf(given) },
    key: key ?? toHex(random.bytes(16)),
    ...defined({ expiresInS }),
  });
  const command = await untilOver(work, ordered, waitS);
  return told(work, command, waitS, 'completed');
}

/** `success`: it will not run; `preconditionFailed`: too late; `deferred`: no answer within `waitS`. */
export async function cancel(
  work: OperatorWork,
  vin: string,
  id: string,
  waitS: number | undefined,
): Promise<ExitCode> {
  const asked = await work.backend.cancel(vin, id);
  return told(work, await untilOver(work, asked, waitS), waitS, 'cancelled');
}

export async function list(
  { context, backend }: OperatorWork,
  vin: string,
  { state, limit }: { readonly state?: CommandState; readonly limit: number },
): Promise<ExitCode> {
  const commands = await backend.commands(vin, {
    limit,
    ...defined({ state }),
  });
  for (const command of commands) context.emit(command);
  if (commands.length === 0) context.say(`${vin}: no commands`);
  else {
    const rows = commands.map((command) => [
      ...[command.id, command.createdAt, command.createdBy, whatOf(command), command.state],
      whyOf(command),
    ]);
    const head = ['ID', 'ORDERED', 'BY', 'COMMAND', 'STATE', 'RESULT'];
    for (const line of textTable([head, ...rows])) context.say(line);
  }
  return ExitCode.success;
}

function untilOver(
  work: OperatorWork,
  command: CommandReply,
  waitS: number | undefined,
): Promise<CommandReply> {
  const look = (): Promise<CommandReply> => work.backend.command(command.vin, command.id);
  return waitUntil(work, waitS, command, look, ({ state }) => isFinal(state));
}

function told(
  { context }: OperatorWork,
  command: CommandReply,
  waitS: number | undefined,
  wanted: CommandState,
): ExitCode {
  context.emit(command);
  context.say(textOf(command));
  if (command.state === wanted) return ExitCode.success;
  if (isFinal(command.state)) return ExitCode.preconditionFailed;
  return waitS === undefined ? ExitCode.success : ExitCode.deferred;
}

function textOf(command: CommandReply): string {
  const { vin, id, state, cancelledBy, runs } = command;
  const facts = [`${vin}, command ${id}: ${whatOf(command)}`, state, whyOf(command)];
  if (state === 'completed' || runs > 0) facts.push(`ran ${runs} times`.replace('1 times', 'once'));
  if (cancelledBy !== undefined && state !== 'cancelled') {
    facts.push(`cancelled by ${cancelledBy}${isFinal(state) ? ', too late' : ', no answer yet'}`);
  }
  return printable(facts.filter((fact) => fact !== '').join('; '));
}

function whatOf({ ecu, action, arguments: given }: CommandReply): string {
  return [ecu, action, ...Object.entries(given).map(([name, value]) => `${name}=${value}`)].join(
    ' ',
  );
}

function whyOf({ code, reason, result }: CommandReply): string {
  return [code, reason ?? result].filter((part) => part !== undefined).join(': ');
}

function timesOf(command: CommandReply): string[][] {
  const times: readonly (readonly [what: string, at: string | undefined, who?: string])[] = [
    ['ordered', command.createdAt, `by ${command.createdBy}`],
    ['sent to the vehicle', command.handedOutAt],
    ['delivered', command.deliveredAt],
    ['executing', command.executingAt],
    ['cancelled', command.cancelledAt, `by ${command.cancelledBy}`],
    ['ended', command.endedAt],
    ['not begun after', command.expiresAt],
  ];
  return times.flatMap(([what, at, who = '']) => (at === undefined ? [] : [[what, at, who]]));
}

function formText([name, form]: [string, ArgumentDescription]): string {
  if (form.type === 'choice') return `${name}=${form.choices.join('|')}`;
  return `${name}=${form.min}..${form.max}${form.unit === '' ? '' : ` ${form.unit}`}`;
}

/** Throws InputError for a value that is neither a number nor text. */
function argumentsOf(given: readonly string[]): Record<string, number | string> {
  return Object.fromEntries(
    Object.entries(assignments(given)).map(([name, value]) => {
      if (typeof value === 'number' || typeof value === 'string') return [name, value];
      if (typeof value === 'boolean' || value === null) return [name, String(value)];
      throw new InputError(name, 'expected a number or a word');
    }),
  );
}
