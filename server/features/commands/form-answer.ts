// The answer to a form of the page of a vehicle.

import { HttpProblem } from '../../platform/http/errors.ts';
import { prefersHtml } from '../../platform/http/problems.ts';
import type { AppContext } from '../../platform/http/request.ts';
import { seeOther } from '../../platform/http/show-page.ts';
import type { FormName, VehiclePages } from '../vehicles/page.ts';
import type { OperatorRequest } from './operator-access.ts';

/**
 * Does what a form asks for. A browser is led back to the vehicle's page; where that fails it gets the page with what
 * was wrong, beside the form and with what was filled in.
 */
export async function answerForm(
  ctx: AppContext,
  pages: VehiclePages,
  { vin, form, request }: { vin: string; form: FormName; request: OperatorRequest },
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (problem) {
    if (!(problem instanceof HttpProblem)) throw problem;
    if (!prefersHtml(ctx) || request.person === undefined) throw problem;
    const fields = request.value as Readonly<Record<string, string>>;
    await pages.one(ctx, request.person, vin, { form, problem, fields });
    return;
  }
  if (!prefersHtml(ctx)) return;
  const place = form === 'configuration' ? 'configuration' : 'commands';
  seeOther(ctx, `/vehicles?${new URLSearchParams({ vin })}#${place}`);
}
