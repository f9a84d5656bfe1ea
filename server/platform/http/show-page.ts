// One page for people, or what it is made of for programs.

import type { Context } from 'koa';
import type { PageData, PageName } from '../../web/pages.ts';
import { prefersHtml } from './problems.ts';
import type { AppContext, Person } from './request.ts';
import type { Services } from './services.ts';

export async function show(
  ctx: AppContext,
  services: Services,
  person: Person,
  page: PageName,
  data: Omit<PageData, 'person' | 'base'> & { title: string },
): Promise<void> {
  (ctx as unknown as Context).vary('Accept');
  ctx.set('Cache-Control', 'no-store');
  if (!prefersHtml(ctx)) {
    ctx.body = data;
    return;
  }
  const notices = [...services.notices(), ...(await services.expiry.notices())];
  ctx.type = 'text/html; charset=utf-8';
  ctx.body = services.pages.render(page, { ...data, person, notices, base: ctx.state.base });
}

/** After a form: 303 to one of our pages, below the path that the client knows. */
export function seeOther(ctx: AppContext, path: string): void {
  ctx.redirect(`${ctx.state.base}${path}`);
  ctx.status = 303;
}
