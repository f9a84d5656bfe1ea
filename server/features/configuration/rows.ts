// Configurations, version by version, as they are stored.

import { z } from 'zod';
import {
  type ParameterResult,
  parameterResult,
  type WantedParameters,
} from '../../../src/contract/configuration.ts';
import { count, json, tableRows, text, time } from '../../platform/db/row.ts';

interface ConfigurationReportRow {
  readonly results: readonly ParameterResult[];
  readonly inForce: Readonly<Record<string, unknown>>;
  /** Time by the vehicle's clock; `reportedAt` by the server's. */
  readonly judgedAt: string;
  readonly reportedAt: string;
}

export interface StoredConfiguration {
  readonly vin: string;
  readonly version: number;
  readonly parameters: WantedParameters;
  readonly changedBy: string;
  readonly changedAt: string;
  readonly comment: string | undefined;
  /** Undefined until the vehicle has told. */
  readonly report: ConfigurationReportRow | undefined;
}

const parameters = z.record(z.string(), z.unknown());

const configurationRows = tableRows('configurations', {
  vin: text,
  version: count,
  parameters: json(parameters),
  changed_by: text,
  changed_at: time,
  comment: text.nullable(),
  results: json(z.array(parameterResult)).nullable(),
  in_force: json(parameters).nullable(),
  judged_at: text.nullable(),
  reported_at: time.nullable(),
});

export function configurationOf(row: unknown): StoredConfiguration {
  const read = configurationRows.read(row);
  const { results, in_force, judged_at, reported_at } = read;
  const isReported = results !== null && in_force !== null && reported_at !== null;
  return {
    vin: read.vin,
    version: read.version,
    parameters: read.parameters,
    changedBy: read.changed_by,
    changedAt: read.changed_at,
    comment: read.comment ?? undefined,
    report: isReported
      ? {
          results,
          inForce: in_force,
          judgedAt: judged_at ?? reported_at,
          reportedAt: reported_at,
        }
      : undefined,
  };
}
