// One page for people, or what it is made of for programs.

import type { Context } from 'koa';
import type { PageData, PageName } from '../../web/pages.ts';
import type { Person } from '../auth/identity.ts';
import { prefersHtml } from './problems.ts';
import type { AppContext } from './request.ts';

/** What every page needs besides its own data. */
export interface PageFrame {
  render(page: PageName, data: PageData): string;
  /** What operators have to know and do something about, a sentence each. */
  notices(): Promise<readonly string[]>;
}

export async function show(
  ctx: AppContext,
  frame: PageFrame,
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
  const notices = await frame.notices();
  ctx.type = 'text/html; charset=utf-8';
  ctx.body = frame.render(page, { ...data, person, notices, base: ctx.state.base });
}

/** After a form: 303 to one of our pages, below the path that the client knows. */
export function seeOther(ctx: AppContext, path: string): void {
  ctx.redirect(`${ctx.state.base}${path}`);
  ctx.status = 303;
}
