// The release metadata that the tester sends before anything is erased (RequestFileTransfer, release.json).

import { z } from 'zod';

// Unknown fields are dropped, not refused: an older bootloader must accept what a newer backend says in addition.
const releaseSchema = z.object({
  ecu: z.string(),
  hardwareId: z.string(),
  version: z.string().regex(/^[0-9A-Za-z][0-9A-Za-z.+_-]{0,31}$/),
  length: z.number().int().min(1),
  sha256: z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/)
    .transform((hex) => hex.toLowerCase()),
});
export type ReleaseMetadata = z.infer<typeof releaseSchema>;

export interface ReleaseTarget {
  readonly ecu: string;
  readonly hardwareId: string;
  readonly bankSize: number;
}

/** The metadata when it is meant for this ECU and fits, otherwise why it is refused. */
export function checkRelease(
  bytes: Uint8Array,
  target: ReleaseTarget,
): { readonly release: ReleaseMetadata } | { readonly refused: string } {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    return { refused: `release.json is no JSON: ${(error as Error).message}` };
  }
  const parsed = releaseSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    return { refused: `release.json: ${issue.path.join('.')}: ${issue.message}` };
  }
  const release = parsed.data;
  if (release.ecu !== target.ecu) {
    return { refused: `the release is for ECU ${release.ecu}, this is ${target.ecu}` };
  }
  if (release.hardwareId !== target.hardwareId) {
    return {
      refused: `the release is for hardware ${release.hardwareId}, this is ${target.hardwareId}`,
    };
  }
  if (release.length > target.bankSize) {
    return { refused: `${release.length} bytes do not fit into a bank of ${target.bankSize}` };
  }
  return { release };
}
