// Entries of the audit log, as they are stored.

import { z } from 'zod';
import { AUDIT_CATEGORIES } from '../../../src/contract/endpoints/people/pages.ts';
import { count, tableRows, text, time } from '../../platform/db/row.ts';

export type AuditCategory = (typeof AUDIT_CATEGORIES)[number];

export interface AuditEntry {
  readonly id: string;
  readonly at: string;
  readonly lastAt: string;
  readonly count: number;
  readonly category: AuditCategory;
  readonly action: string;
  readonly who: string;
  readonly address: string;
  readonly detail: string;
}

const auditRows = tableRows('audit', {
  id: text,
  at: time,
  last_at: time,
  count,
  category: z.enum(AUDIT_CATEGORIES),
  share: text,
  action: text,
  who: text,
  address: text,
  detail: text,
});

export function entryOf(row: unknown): AuditEntry {
  const { last_at: lastAt, share: _, ...entry } = auditRows.read(row);
  return { ...entry, lastAt };
}
