// `can-ota telemetry show`: the measurements of a vehicle.

import { ExitCode } from '../../core/exit-code.ts';
import { defined } from '../../core/optional.ts';
import { printable, textTable } from '../../core/text-table.ts';
import type { TelemetryReply } from '../../link/operator-backend.ts';
import { type OperatorOptions, type OperatorWork, withBackend } from './operator.ts';

export interface TelemetryFilter {
  readonly did?: string;
  /** ISO 8601, or how long ago in seconds. */
  readonly since?: string | number;
  readonly limit: number;
}

export function showTelemetry(
  vin: string,
  options: OperatorOptions & TelemetryFilter,
): Promise<void> {
  return withBackend(options, (work) => show(work, vin, options));
}

export async function show(
  { context, backend, clock }: OperatorWork,
  vin: string,
  { did, since, limit }: TelemetryFilter,
): Promise<ExitCode> {
  const from =
    typeof since === 'number' ? new Date(clock.wallMs() - since * 1000).toISOString() : since;
  const reply = await backend.telemetry(vin, {
    limit,
    ...defined({ did, since: from }),
  });
  const { counts, samples } = reply;
  context.emit(reply);
  context.say(
    `${vin}: ${counts.samples} samples in ${counts.batches} batches; ${counts.lost} batches lost, ${counts.duplicates} arrived twice, ${counts.dropped} samples dropped by the vehicle`,
  );
  const head = ['AT', 'DID', 'MEAN', 'LEAST', 'MOST', 'UNIT', 'READINGS', 'RAW'];
  if (samples.length === 0) context.say('no samples');
  else for (const line of textTable([head, ...samples.map(rowOf)])) context.say(printable(line));
  return ExitCode.success;
}

function rowOf(sample: TelemetryReply['samples'][number]): string[] {
  const { at, did, mean, min, max, unit = '', count, raw = '' } = sample;
  const number = (value: number | undefined): string =>
    value === undefined ? '-' : String(Number(value.toFixed(3)));
  return [at, did, number(mean), number(min), number(max), unit, String(count), raw];
}
