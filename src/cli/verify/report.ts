// The output of `can-ota verify`: one JSON object for machines, a table of roles and a sentence for people.

import { pc } from '../../core/colours.ts';
import type { Verdict } from '../../trust/attack.ts';
import type { VerifiedTarget } from '../../trust/director.ts';
import type { Dialect } from '../../trust/profile.ts';
import { type RepositoryTrust, versionsOf } from '../../trust/repository.ts';
import { REPOSITORIES, type VerifyResult } from './run.ts';

/** Option values that the report repeats. */
export interface ReportFacts {
  readonly profile: Dialect;
  readonly nowMs: number;
  /** Source of the time. */
  readonly clock: 'machine' | 'option';
  readonly serials: readonly string[];
}

/** The line of `--json`. `target` is the target of the first ECU; `targets` is present when several ECUs were named. */
export function reportJson(result: VerifyResult, facts: ReportFacts): Record<string, unknown> {
  const { outcome, trust, trustedOnFirstUse } = result;
  const common = {
    profile: facts.profile,
    time: new Date(facts.nowMs).toISOString(),
    clock: facts.clock,
    ...Object.fromEntries(
      REPOSITORIES.map((name) => [name, trust[name] && versionsOf(trust[name])] as const),
    ),
    ...(trustedOnFirstUse.length === 0 ? {} : { trustedOnFirstUse }),
  };
  if (!outcome.ok) {
    const { code, where, reason } = outcome;
    return { ok: false, attack: code, where, reason, ...common };
  }
  const [first] = facts.serials;
  return {
    ok: true,
    ...common,
    target: outcome.value.find(({ serial }) => serial === first) ?? null,
    ...(facts.serials.length > 1 ? { targets: outcome.value } : {}),
  };
}

/** The lines for people: the roles, and the verdict when everything is verified. */
export function reportLines(result: VerifyResult, facts: ReportFacts): string[] {
  const lines: string[] = [];
  for (const name of REPOSITORIES) {
    const trust = result.trust[name];
    if (trust === undefined) continue;
    const first = result.trustedOnFirstUse.includes(name) ? ' (trusted on first use)' : '';
    lines.push(pc.bold(`${name}${first}`), ...roleLines(trust, facts.nowMs));
  }
  return [...lines, ...verdictLines(result.outcome, facts.serials)];
}

function roleLines({ root, timestamp, snapshot, targets }: RepositoryTrust, nowMs: number) {
  const roles = Object.entries({ root, timestamp, snapshot });
  return [...roles, ...targets].flatMap(([role, file]) =>
    file === undefined
      ? []
      : [
          `  ${role.padEnd(12)} version ${String(file.version).padEnd(6)} ${left(file.expiresMs - nowMs)}`,
        ],
  );
}

const UNITS = [
  ['days', 86_400_000],
  ['hours', 3_600_000],
  ['minutes', 60_000],
  ['seconds', 1000],
] as const;

function left(ms: number): string {
  const [unit, size] = UNITS.find(([, each]) => Math.abs(ms) >= 2 * each) ?? UNITS[3];
  const count = Math.floor(Math.abs(ms) / size).toLocaleString('en');
  return ms > 0 ? `expires in ${count} ${unit}` : pc.red(`EXPIRED ${count} ${unit} ago`);
}

function verdictLines(
  outcome: Verdict<readonly VerifiedTarget[]>,
  serials: readonly string[],
): string[] {
  if (!outcome.ok) return [];
  return serials.map((serial) => {
    const target = outcome.value.find((each) => each.serial === serial);
    if (target === undefined) return pc.green(`verified: nothing is assigned to ECU ${serial}`);
    const { name, version, length, sha256, releaseCounter, hardwareId, encryption } = target;
    const facts = [
      ...(version === '' ? [] : [`version ${version}`]),
      `${length.toLocaleString('en')} bytes`,
      `release counter ${releaseCounter}`,
      ...(encryption === undefined ? [] : ['encrypted']),
      `sha256 ${sha256}`,
    ];
    return pc.green(`verified: ECU ${serial} (${hardwareId}) gets ${name}: ${facts.join(', ')}`);
  });
}
