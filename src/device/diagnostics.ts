// What new software has to show before it is confirmed: memory, network, backend, and that it is what it should be.

export const CHECKS = ['memory', 'network', 'backend', 'version'] as const;
export type CheckName = (typeof CHECKS)[number];

export interface CheckResult {
  readonly check: CheckName;
  readonly ok: boolean;
  readonly found: string | number;
}

export interface Findings {
  /** bytes of the device's working memory that nothing has taken */
  readonly freeBytes: number;
  /** Any server answered, whatever it said. Missing: why none did. */
  readonly network: 'reachable' | { readonly reason: string };
  /** The backend proved itself and answered. */
  readonly backend: 'reachable' | { readonly reason: string };
  /** That runs. */
  readonly version: string;
}

/** A download with the usual chunks takes 5,140 bytes: with less than this the next one would not fit. */
const LEAST_FREE_BYTES = 8 * 1024;

/** All of them, in their order. */
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

/** A sentence of what is not as it should be; undefined where all is. */
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
