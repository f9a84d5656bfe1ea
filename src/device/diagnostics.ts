// Diagnostics of new software before it is confirmed: memory, network, backend and version.

export const CHECKS = ['memory', 'network', 'backend', 'version'] as const;
export type CheckName = (typeof CHECKS)[number];

export interface CheckResult {
  readonly check: CheckName;
  readonly ok: boolean;
  readonly found: string | number;
}

export interface Findings {
  /** Free working memory of the device in bytes. */
  readonly freeBytes: number;
  /** Whether a server gave any answer, otherwise the reason. */
  readonly network: 'reachable' | { readonly reason: string };
  /** Whether the backend proved itself and answered, otherwise the reason. */
  readonly backend: 'reachable' | { readonly reason: string };
  /** Version that runs. */
  readonly version: string;
}

/** Least free memory: a download with the usual chunks takes 5,140 bytes. */
const LEAST_FREE_BYTES = 8 * 1024;

/** The results of all checks, in order. */
export function checkFindings(findings: Findings, expectedVersion: string): readonly CheckResult[] {
  const { freeBytes, version } = findings;
  const reached = (check: CheckName, found: Findings['network']): CheckResult => ({
    check,
    ok: found === 'reachable',
    found: found === 'reachable' ? found : found.reason,
  });
  return [
    { check: 'memory', ok: freeBytes >= LEAST_FREE_BYTES, found: freeBytes },
    reached('network', findings.network),
    reached('backend', findings.backend),
    { check: 'version', ok: version === expectedVersion, found: version },
  ];
}

/** A sentence with the failed checks; undefined when all passed. */
export function complaint(
  results: readonly CheckResult[],
  expectedVersion: string,
): string | undefined {
  const wanted: Record<CheckName, string> = {
    memory: `at least ${LEAST_FREE_BYTES} bytes`,
    network: 'reachable',
    backend: 'reachable',
    version: expectedVersion,
  };
  const bad = results.filter(({ ok }) => !ok);
  if (bad.length === 0) return undefined;
  return bad
    .map(({ check, found }) => `${check}: expected ${wanted[check]}, found ${found}`)
    .join('; ');
}
