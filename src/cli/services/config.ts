// `can-ota config ...`: the configuration that an operator wants, and the vehicle's answer.

import { readFile } from 'node:fs/promises';
import { describeParameters, type WantedParameters } from '../../contract/configuration.ts';
import { InputError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { fileFault } from '../../core/text-file.ts';
import { printable, textTable } from '../../core/text-table.ts';
import {
  type ChangeReply,
  type ConfigurationReply,
  type ConfigurationVersion,
  RefusedError,
} from '../../link/operator-backend.ts';
import { type CommonOptions, runCommand } from '../context.ts';
import {
  assignments,
  type OperatorOptions,
  type OperatorWork,
  waitUntil,
  withBackend,
} from './operator.ts';

interface SetOptions extends OperatorOptions {
  readonly file?: string;
  readonly replace?: boolean;
  readonly reset: readonly string[];
  readonly comment?: string;
}

/**
 * How often a change is tried. Others may change the configuration at the same time; each try starts from the
 * newest version.
 */
const TRIES = 3;

export function showConfiguration(vin: string, options: OperatorOptions): Promise<void> {
  return withBackend(options, (work) => show(work, vin));
}

export function setConfiguration(
  vin: string,
  given: readonly string[],
  options: SetOptions,
): Promise<void> {
  return withBackend(options, async (work) => {
    const { file, replace = false, reset, comment, wait } = options;
    const values = {
      ...(file === undefined ? {} : await parametersOf(file)),
      ...assignments(given),
    };
    if (Object.keys(values).length === 0 && reset.length === 0 && !replace) {
      throw new InputError('parameters', 'nothing to set: give NAME=VALUE or --file FILE');
    }
    return set(work, vin, { values, reset, replace, comment, waitS: wait });
  });
}

export function showHistory(vin: string, options: OperatorOptions): Promise<void> {
  return withBackend(options, (work) => history(work, vin));
}

/** Needs no backend: backend and vehicle use the same table. */
export function showSchema(options: CommonOptions): Promise<void> {
  return runCommand(options, async (context) => {
    const described = describeParameters() as Record<string, Record<string, unknown>>;
    context.emit(described);
    const rows = Object.entries(described).map(([name, about]) => [
      ...[name, [JSON.stringify(about.default), about.unit].join(' ').trim()],
      String(about.title),
    ]);
    for (const line of textTable([['PARAMETER', 'DEFAULT', 'MEANING'], ...rows])) context.say(line);
    return ExitCode.success;
  });
}

export async function show({ context, backend }: OperatorWork, vin: string): Promise<ExitCode> {
  const view = await backend.configuration(vin);
  context.emit(view);
  context.say(headline(view));
  const rows = view.parameters.map(({ parameter, wanted, inForce, unit, state, reason }) => [
    parameter,
    wanted === undefined ? 'default' : `${JSON.stringify(wanted)} ${unit}`.trim(),
    inForce === undefined ? 'not told' : `${JSON.stringify(inForce)} ${unit}`.trim(),
    reason === undefined ? state : `${state}: ${reason}`,
  ]);
  for (const line of textTable([['PARAMETER', 'WANTED', 'IN FORCE', 'STATE'], ...rows])) {
    context.say(line);
  }
  return ExitCode.success;
}

export async function history({ context, backend }: OperatorWork, vin: string): Promise<ExitCode> {
  const { history: versions } = await backend.configuration(vin);
  for (const version of versions) context.emit(version);
  const rows = versions.map((version) => [
    ...[String(version.version), version.changedAt, version.changedBy, answerOf(version)],
    [version.comment, JSON.stringify(version.parameters)].filter(Boolean).join(': '),
  ]);
  for (const line of textTable([['VERSION', 'CHANGED', 'BY', 'VEHICLE', 'WANTED'], ...rows])) {
    context.say(line);
  }
  return ExitCode.success;
}

export interface ConfigurationWish {
  readonly values: WantedParameters;
  /** Parameters that go back to their default. */
  readonly reset: readonly string[];
  /** Whether parameters that are not named go back to their default; otherwise they stay. */
  readonly replace: boolean;
  readonly comment?: string | undefined;
  readonly waitS?: number | undefined;
}

/**
 * `success`: set, and with `waitS` accepted by the vehicle; `preconditionFailed`: a parameter is rejected, or
 * another change came later; `deferred`: no report within `waitS`.
 */
export async function set(
  work: OperatorWork,
  vin: string,
  wish: ConfigurationWish,
): Promise<ExitCode> {
  const { context, backend } = work;
  const { waitS } = wish;
  const reply = await change(work, vin, wish);
  const { version, changed, warnings } = reply;
  const end = (view: ConfigurationReply | undefined): ConfigurationVersion | undefined =>
    view?.history.find((other) => other.version === version);
  const isOver = (view: ConfigurationReply | undefined): boolean =>
    end(view)?.report !== undefined || (view?.wanted?.version ?? 0) > version;
  const look = (): Promise<ConfigurationReply> => backend.configuration(vin);
  const first = waitS === undefined ? undefined : await look();
  const last = await waitUntil(work, waitS, first, look, isOver);
  const report = end(last)?.report;
  const rejected = (report?.results ?? []).filter((result) => result.status === 'rejected');
  context.emit({ ...reply, report: report ?? null });
  context.say(
    changed
      ? `${vin}: version ${version} is set; the vehicle gets it at its next contact`
      : `${vin}: nothing has changed, version ${version} stays`,
  );
  const refused = rejected.length > 0 ? rejected : report === undefined ? warnings : [];
  for (const { parameter, code, reason } of refused) {
    context.say(printable(`  ${parameter} ${code}: ${reason}`));
  }
  if (report !== undefined) {
    context.say(`${vin}: the vehicle has checked version ${version} at ${report.judgedAt}`);
    return rejected.length > 0 ? ExitCode.preconditionFailed : ExitCode.success;
  }
  if (isOver(last)) {
    const now = last?.wanted;
    context.say(printable(`${vin}: version ${now?.version} of ${now?.changedBy} came after it`));
    return ExitCode.preconditionFailed;
  }
  if (warnings.length > 0) return ExitCode.preconditionFailed;
  if (waitS === undefined) return ExitCode.success;
  context.say(`${vin}: the vehicle has not answered within ${waitS} s`);
  return ExitCode.deferred;
}

async function change(
  { backend }: OperatorWork,
  vin: string,
  { values, reset, replace, comment }: ConfigurationWish,
): Promise<ChangeReply> {
  for (let attempt = 1; ; attempt++) {
    const { wanted } = await backend.configuration(vin);
    const parameters = { ...(replace ? {} : wanted?.parameters), ...values };
    for (const name of reset) delete parameters[name];
    try {
      return await backend.configure(vin, { parameters, comment, expected: wanted?.version ?? 0 });
    } catch (error) {
      const isRace = error instanceof RefusedError && error.code === 'CONFIGURATION_CHANGED';
      if (!isRace || attempt === TRIES) throw error;
    }
  }
}

function headline({ vin, wanted, reported, pending }: ConfigurationReply): string {
  if (wanted === undefined) return `${vin}: no configuration is set, everything is at its default`;
  const { version, changedBy, changedAt, comment } = wanted;
  const why = comment === undefined ? '' : ` (${comment})`;
  const heard =
    reported === undefined ? 'it has reported none yet' : `it reported version ${reported.version}`;
  const state = pending ? `pending, ${heard}` : 'the vehicle has checked it';
  return printable(`${vin}: version ${version} by ${changedBy}, ${changedAt}${why}; ${state}`);
}

function answerOf({ report }: ConfigurationVersion): string {
  if (report === undefined) return 'no report';
  const rejected = report.results.filter(({ status }) => status === 'rejected').length;
  return rejected === 0 ? 'taken' : `${rejected} rejected`;
}

/** Reads a JSON object from a file, or from standard input for `-`. Throws InputError. */
async function parametersOf(file: string): Promise<WantedParameters> {
  let content: string;
  try {
    content = file === '-' ? await standardInput() : await readFile(file, 'utf8');
  } catch (error) {
    throw new InputError('--file', fileFault(file, error), { cause: error });
  }
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (error) {
    throw new InputError('--file', `${file} is not JSON`, { cause: error });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InputError('--file', `${file}: expected an object such as {"pollInterval":5}`);
  }
  return value as WantedParameters;
}

async function standardInput(): Promise<string> {
  process.stdin.setEncoding('utf8');
  let content = '';
  for await (const part of process.stdin) content += String(part);
  return content;
}
