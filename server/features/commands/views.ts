// What operators are shown of a vehicle's remote features: its configuration side by side, its measured data as a table.

import { isDeepStrictEqual } from 'node:util';
import {
  checkParameter,
  PARAMETER_NAMES,
  PARAMETERS,
  type ParameterName,
  type WantedParameters,
} from '../../../src/contract/configuration.ts';
import type { StoredConfiguration } from '../configuration/rows.ts';
import type { ConfigurationStore } from '../configuration/store.ts';
import type { StoredSample } from '../telemetry/rows.ts';

/** One parameter: what is wanted, what is in force, and what the vehicle said about the difference. */
interface ParameterView {
  readonly parameter: string;
  readonly title: string;
  readonly unit: string;
  /** Undefined where the operator leaves it at its default. */
  readonly wanted: unknown;
  /** Undefined where the vehicle has not told. */
  readonly inForce: unknown;
  /**
   * `pending`: the vehicle has not answered yet; `set`: as it was ordered; `default`: no operator has set it;
   * `differs`: the vehicle says neither that it took this nor that it did not.
   */
  readonly state: 'pending' | 'set' | 'default' | 'rejected' | 'differs';
  readonly code?: string;
  readonly reason?: string;
}

export interface ConfigurationView {
  readonly vin: string;
  readonly wanted: StoredConfiguration | undefined;
  /** The version that the vehicle reported last. */
  readonly reported: StoredConfiguration | undefined;
  /** Of the last report. */
  readonly inForce: Readonly<Record<string, unknown>> | undefined;
  /** The vehicle has not reported the version that is wanted. */
  readonly pending: boolean;
  readonly parameters: readonly ParameterView[];
  /** The newest first. */
  readonly history: readonly StoredConfiguration[];
}

export async function configurationView(
  configurations: ConfigurationStore,
  vin: string,
): Promise<ConfigurationView> {
  const history = await configurations.history(vin);
  const [wanted] = history;
  const reported = history
    .flatMap((configuration) => {
      const { report } = configuration;
      return report === undefined ? [] : [{ configuration, at: report.reportedAt }];
    })
    .sort((a, b) => a.at.localeCompare(b.at))
    .at(-1)?.configuration;
  const inForce = reported?.report?.inForce;
  const names = new Set([
    ...PARAMETER_NAMES,
    ...Object.keys(wanted?.parameters ?? {}),
    ...Object.keys(inForce ?? {}),
  ]);
  return {
    vin,
    wanted,
    reported,
    inForce,
    pending: wanted !== undefined && wanted.report === undefined,
    parameters: [...names].map((name) => parameterView(name, wanted, inForce)),
    history,
  };
}

function parameterView(
  parameter: string,
  wanted: StoredConfiguration | undefined,
  inForce: Readonly<Record<string, unknown>> | undefined,
): ParameterView {
  const known = Object.hasOwn(PARAMETERS, parameter)
    ? PARAMETERS[parameter as ParameterName]
    : undefined;
  const wish = own(wanted?.parameters, parameter);
  const shown = {
    parameter,
    title: known?.title ?? 'not known to this backend',
    unit: known?.unit ?? '',
    wanted: wish,
    inForce: own(inForce, parameter),
  };
  const result = wanted?.report?.results.find((told) => told.parameter === parameter);
  if (result?.status === 'rejected') {
    return { ...shown, state: 'rejected', code: result.code, reason: result.reason };
  }
  // What is left out goes back to its default.
  const isAsWanted = isDeepStrictEqual(wish ?? known?.default, shown.inForce);
  if (wanted !== undefined && !isAsWanted) {
    return { ...shown, state: wanted.report === undefined ? 'pending' : 'differs' };
  }
  return { ...shown, state: wish === undefined ? 'default' : 'set' };
}

/** What the vehicle will refuse, as far as the common schema tells: the vehicle itself knows more. */
export function warningsOf(
  parameters: WantedParameters,
): { readonly parameter: string; readonly code: string; readonly reason: string }[] {
  return Object.entries(parameters).flatMap(([parameter, value]) => {
    const checked = checkParameter(parameter, value);
    return checked.ok ? [] : [{ parameter, code: checked.code, reason: checked.reason }];
  });
}

const COLUMNS = ['at', 'did', 'count', 'mean', 'min', 'max', 'unit', 'raw', 'receivedAt'] as const;

/** RFC 4180. */
export function csvOf(samples: readonly StoredSample[]): string {
  const lines = samples.map((sample) => COLUMNS.map((name) => cell(sample[name])).join(','));
  return [COLUMNS.join(','), ...lines, ''].join('\r\n');
}

function cell(value: number | string | undefined): string {
  if (typeof value !== 'string') return value === undefined ? '' : String(value);
  // A spreadsheet takes text that begins so for a formula, and runs it.
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function own(record: Readonly<Record<string, unknown>> | undefined, name: string): unknown {
  return record !== undefined && Object.hasOwn(record, name) ? record[name] : undefined;
}
