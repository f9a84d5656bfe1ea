// Uploaded Targets: signed by who may sign them under the Root and the delegations of now, newer, and not expired.

import { z } from 'zod';
import { itemAt } from '../../../src/core/present.ts';
import { accepted, refused, type Verdict } from '../../../src/trust/attack.ts';
import {
  type Authority,
  checkExpiry,
  checkSignatures,
  openEnvelope,
  type Targets,
  type Trusted,
  toTrusted,
} from '../../../src/trust/metadata.ts';
import { checkTargetsFile, type RepositoryTrust } from '../../../src/trust/repository.ts';

const members = z.array(
  z.object({ name: z.string(), keyids: z.array(z.string()), threshold: z.int().positive() }),
);

/** `role`: `targets`, or a delegated one. */
export function checkTargets(
  trust: RepositoryTrust,
  role: string,
  bytes: Uint8Array,
  nowMs: number,
): Verdict<Trusted<Targets>> {
  const published = trust.targets.get(role);
  if (role === 'targets') {
    return checkTargetsFile(trust.root.bytes, published?.bytes, bytes, nowMs);
  }
  const authorities = [...trust.targets.values()].flatMap((by) => authoritiesFor(by, role));
  if (authorities.length === 0) {
    return refused('UNKNOWN_TARGET', role, 'nothing is delegated to a role of this name');
  }
  const file = openEnvelope('targets', bytes, role, trust.dialect);
  if (!file.ok) return file;
  // Two may delegate to one name with different keys; each vehicle path through the delegations checks its own.
  const verdicts = authorities.map((authority) => checkSignatures(file.value, authority, role));
  const signed = verdicts.find(({ ok }) => ok) ?? itemAt(verdicts, 0);
  if (!signed.ok) return signed;
  if (published !== undefined && file.value.version <= published.version) {
    return refused(
      'ROLLBACK',
      role,
      `version ${file.value.version} must be newer than ${published.version}, which is published`,
    );
  }
  const current = checkExpiry(file.value, nowMs, role);
  if (!current.ok) return current;
  const trusted = toTrusted('targets', file.value, role, trust.dialect);
  return trusted.ok ? accepted(trusted.value) : trusted;
}

function authoritiesFor(by: Trusted<Targets>, role: string): Authority[] {
  const { keys } = by;
  const roles = Object.values(by.metadata.signed.delegations?.roles ?? {});
  return roles.flatMap((delegation): Authority[] => {
    const several = members.safeParse(delegation.unrecognizedFields?.roles);
    if (several.success) {
      return several.data
        .filter(({ name }) => name === role)
        .map(({ keyids, threshold }) => ({ keyIds: keyids, threshold, keys }));
    }
    if (delegation.name !== role) return [];
    return [{ keyIds: delegation.keyIDs, threshold: delegation.threshold, keys }];
  });
}
