// Campaigns under way: vehicles tell where they are (POST /vehicle/campaign), operators cancel (POST /vehicles/<vin>/cancel).

import type Router from '@koa/router';
import { askAgain } from '../../../src/contract/endpoints/campaigns/ask-again.ts';
import { cancelCampaign, orderReason } from '../../../src/contract/endpoints/campaigns/cancel.ts';
import { showCampaign } from '../../../src/contract/endpoints/campaigns/show.ts';
import { campaignStatus, REFUSED_STATE } from '../../../src/contract/endpoints/campaigns/status.ts';
import { vehiclePath } from '../../../src/contract/fields.ts';
import type { Clock } from '../../../src/core/clock.ts';
import { nameOf, type RouteGuard, requireOwnVehicle } from '../../platform/auth/access.ts';
import { requireCsrf } from '../../platform/auth/person-session.ts';
import { parseInput, readBody, readJson, readSmallBody } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import { prefersHtml } from '../../platform/http/problems.ts';
import type { AppContext, RequestState } from '../../platform/http/request.ts';
import { seeOther } from '../../platform/http/show-page.ts';
import type { AuditLog } from '../audit/store.ts';
import type { OrderStore } from './order-store.ts';
import type { StoredCampaign, StoredCancelOrder } from './rows.ts';
import type { CampaignStore } from './store.ts';

export interface CampaignRoutesParts {
  readonly guard: RouteGuard;
  readonly clock: Clock;
  readonly audit: AuditLog;
  readonly campaigns: CampaignStore;
  readonly orders: OrderStore;
}

export function campaignRoutes(parts: CampaignRoutesParts): Router<RequestState> {
  const router = guardedRouter(parts.guard);

  router.answer(campaignStatus, async (ctx) => {
    const body = await readBody(ctx, campaignStatus, parts.clock);
    const { vin, campaign, state, answer } = body;
    requireOwnVehicle(ctx, vin);
    if (ctx.state.device === undefined) await parts.guard.gate.stranger(ctx);
    const { campaigns, orders } = parts;
    if (state === REFUSED_STATE) {
      const ask = await orders.openAsk(vin, campaign);
      ctx.set('Cache-Control', 'no-store');
      ctx.body = {
        cancel: null,
        askAgain: ask === undefined ? null : { by: ask.by, reason: ask.reason },
      };
      return;
    }
    if (answer !== undefined) await orders.answered(vin, answer, ctx.state.address);
    await campaigns.heard(vin, campaign, state);
    const open = await orders.openCancel(vin, campaign);
    ctx.set('Cache-Control', 'no-store');
    ctx.body = {
      cancel: open === undefined ? null : { order: open.order, by: open.by, reason: open.reason },
    };
  });

  router.answer(showCampaign, async (ctx) => {
    const { vin } = parseInput(vehiclePath, ctx.params);
    ctx.set('Cache-Control', 'no-store');
    ctx.body = {
      vin,
      campaign: (await parts.campaigns.last(vin)) ?? null,
      orders: await parts.orders.list(vin),
    };
  });

  router.answer(cancelCampaign, async (ctx) => {
    const { vin } = parseInput(vehiclePath, ctx.params);
    const { who, reason } = await orderOf(ctx, parts);
    const result = await parts.orders.cancel(vin, reason, {
      who,
      address: ctx.state.address,
    });
    if (result.kind === 'no-campaign') throw noCampaign(vin, result.last);
    ctx.set('Cache-Control', 'no-store');
    if (prefersHtml(ctx)) {
      seeOther(ctx, `/vehicles?${new URLSearchParams({ vin })}#campaign`);
      return;
    }
    ctx.status = result.kind === 'ordered' ? 202 : 200;
    ctx.body = orderJson(result.order, result.kind === 'ordered');
  });

  router.answer(askAgain, async (ctx) => {
    const { vin } = parseInput(vehiclePath, ctx.params);
    const { who, reason } = await orderOf(ctx, parts);
    const { address } = ctx.state;
    const result = await parts.orders.askAgain(vin, reason, { who, address });
    if (result.kind === 'no-refusal') throw noRefusal(vin, result.last);
    ctx.set('Cache-Control', 'no-store');
    ctx.status = result.kind === 'ordered' ? 202 : 200;
    ctx.body = { ...result.order, created: result.kind === 'ordered' };
  });

  return router;
}

/** An administrator with his CSRF token, or a tool with a token of the role `operator` or `release`. */
async function orderOf(
  ctx: AppContext,
  parts: Pick<CampaignRoutesParts, 'clock' | 'audit'>,
): Promise<{ who: string; reason: string }> {
  const who = nameOf(ctx);
  if (ctx.state.token !== undefined) {
    return { who, ...parseInput(orderReason, (await readJson(ctx, parts.clock)).value) };
  }
  const body = await readSmallBody(ctx, parts.clock);
  const field = (body.value as { _csrf?: unknown } | null)?._csrf;
  const header = ctx.get('X-CSRF-Token');
  await requireCsrf(ctx, parts, header === '' ? String(field ?? '') : header);
  return { who, ...parseInput(orderReason, body.value) };
}

function orderJson(order: StoredCancelOrder, created: boolean): Record<string, unknown> {
  return { ...order, answer: order.answer ?? null, created };
}

function noCampaign(vin: string, last: StoredCampaign | undefined): HttpProblem {
  const known =
    last === undefined
      ? `${vin} has told of no campaign`
      : `the last campaign of ${vin} ended ${last.endedAt} with ${last.state}`;
  return new HttpProblem(409, 'NO_CAMPAIGN', `there is nothing to cancel: ${known}`);
}

function noRefusal(vin: string, last: StoredCampaign | undefined): HttpProblem {
  const known =
    last === undefined
      ? `${vin} has told of no campaign`
      : last.endedAt === undefined
        ? `a campaign of ${vin} is under way (${last.state})`
        : `the last campaign of ${vin} ended with ${last.state}`;
  return new HttpProblem(409, 'NO_REFUSAL', `there is nothing that the driver refused: ${known}`);
}
