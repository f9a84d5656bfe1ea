// The page of the audit log.

import type Router from '@koa/router';
import { AUDIT_CATEGORIES, auditPage } from '../../../src/contract/endpoints/people/pages.ts';
import { defined } from '../../../src/core/optional.ts';
import type { RouteGuard } from '../../platform/auth/access.ts';
import { parseInput } from '../../platform/http/body.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import { type RequestState, requiredPerson } from '../../platform/http/request.ts';
import { type PageFrame, show } from '../../platform/http/show-page.ts';
import type { AuditLog } from './store.ts';

const ENTRIES_SHOWN = 50;

export function auditRoutes(parts: {
  readonly guard: RouteGuard;
  readonly frame: PageFrame;
  readonly audit: AuditLog;
}): Router<RequestState> {
  const router = guardedRouter(parts.guard);

  router.answer(auditPage, async (ctx) => {
    const { category, q, before } = parseInput(auditPage.request.query, { ...ctx.query });
    // One more than is shown tells whether there is an older page.
    const found = await parts.audit.list({ limit: ENTRIES_SHOWN + 1, before, category, text: q });
    const entries = found.slice(0, ENTRIES_SHOWN);
    const last = found.length > ENTRIES_SHOWN ? entries.at(-1) : undefined;
    const filter = { ...defined({ category }), ...(q === '' ? {} : { q }) };
    const address = (more: Record<string, string>): string => {
      const query = new URLSearchParams({ ...filter, ...more }).toString();
      return `${ctx.state.base}/audit${query === '' ? '' : `?${query}`}`;
    };
    await show(ctx, parts.frame, requiredPerson(ctx), 'audit', {
      title: 'Audit log',
      entries,
      categories: AUDIT_CATEGORIES,
      category,
      q,
      newest: before === undefined ? undefined : address({}),
      older: last === undefined ? undefined : address({ before: last.id }),
    });
  });

  return router;
}
