// GET /metrics: what the guards against floods have done, in the text format of Prometheus (version 0.0.4).

import { bearerOf } from '../auth/callers.ts';
import { GUARDS } from '../auth/guard-counts.ts';
import type { AppContext, Services } from '../http/context.ts';

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
/** Callers that are named, those that were refused most often first. */
const NAMED = 50;

interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly samples: readonly {
    readonly labels: Readonly<Record<string, string>>;
    readonly value: number;
  }[];
}

/**
 * The totals are for everybody who may use the server. Who was refused is for operators alone: a token of the role
 * `operator`, or a person who is logged in. Throws HttpProblem 401, 403, 429 for a token that is not right.
 */
export async function guardMetrics(ctx: AppContext, services: Services): Promise<string> {
  const isTool = bearerOf(ctx) !== undefined;
  if (isTool) await services.gate.service(ctx, services, 'operator');
  const mayName = isTool || ctx.state.person !== undefined;
  const families = [...totals(services), ...(mayName ? named(services) : [])];
  return families.map(textOf).join('');
}

function totals({ gate, clock }: Services): Family[] {
  const all = gate.counts.totals(clock.nowMs());
  const of = (value: 'refused' | 'waitSeconds' | 'waiting') =>
    all.map((total) => ({ labels: { guard: total.guard }, value: total[value] }));
  const meaning = Object.entries(GUARDS)
    .map(([guard, what]) => `${guard} (${what})`)
    .join(', ');
  return [
    {
      name: 'can_ota_guard_refused_total',
      type: 'counter',
      help: `Requests that were answered 429 since the start, by what they were counted by: ${meaning}.`,
      samples: of('refused'),
    },
    {
      name: 'can_ota_guard_wait_seconds_total',
      type: 'counter',
      help: 'Sum of the waits that were told with them.',
      samples: of('waitSeconds'),
    },
    {
      name: 'can_ota_guard_waiting',
      type: 'gauge',
      help: 'Callers that have to wait now.',
      samples: of('waiting'),
    },
  ];
}

function named({ gate, clock }: Services): Family[] {
  const all = gate.counts.callers(clock.nowMs(), NAMED);
  const of = (value: 'refused' | 'leftSeconds' | 'longestSeconds') =>
    all.map((entry) => ({
      labels: { guard: entry.guard, caller: entry.caller },
      value: entry[value],
    }));
  return [
    {
      name: 'can_ota_guard_caller_refused_total',
      type: 'counter',
      help: `The same by caller: a serial, a token, or a network. The ${NAMED} that were refused most often.`,
      samples: of('refused'),
    },
    {
      name: 'can_ota_guard_caller_wait_seconds',
      type: 'gauge',
      help: 'How long the caller has to wait from now; 0 when it may ask again.',
      samples: of('leftSeconds'),
    },
    {
      name: 'can_ota_guard_caller_longest_wait_seconds',
      type: 'gauge',
      help: 'The longest wait that the caller was told.',
      samples: of('longestSeconds'),
    },
  ];
}

function textOf({ name, type, help, samples }: Family): string {
  const lines = samples.map(({ labels, value }) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
    return `${name}{${pairs.join(',')}} ${value}`;
  });
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines, ''].join('\n');
}

function escaped(text: string): string {
  return text.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
}
