// Campaigns under way: vehicles tell where they are (POST /vehicle/campaign), operators cancel (POST /vehicles/<vin>/cancel).

import type Router from '@koa/router';
import type { Middleware } from 'koa';
import { askAgain } from '../../../src/contract/endpoints/campaigns/ask-again.ts';
import { cancelCampaign, orderReason } from '../../../src/contract/endpoints/campaigns/cancel.ts';
import { showCampaign } from '../../../src/contract/endpoints/campaigns/show.ts';
import { campaignStatus, REFUSED_STATE } from '../../../src/contract/endpoints/campaigns/status.ts';
import { vehiclePath } from '../../../src/contract/fields.ts';
import { nameOf, requireOwnVehicle } from '../../platform/auth/access.ts';
import { parseInput, readBody, readJson, readSmallBody } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import { prefersHtml } from '../../platform/http/problems.ts';
import type { AppContext, RequestState } from '../../platform/http/request.ts';
import type { Services } from '../../platform/http/services.ts';
import { seeOther } from '../../platform/http/show-page.ts';
import { requireCsrf } from '../people/people.ts';
import type { StoredOrder } from './cancel-order-store.ts';
import type { StoredCampaign } from './store.ts';

export function campaignRoutes(
  services: Services,
  sessions: Middleware<RequestState>,
): Router<RequestState> {
  const router = guardedRouter(services, sessions);

  router.answer(campaignStatus, async (ctx) => {
    const body = await readBody(ctx, campaignStatus, services.clock);
    const { vin, campaign, state, answer } = body;
    requireOwnVehicle(ctx, vin);
    if (ctx.state.device === undefined) await services.gate.stranger(ctx, services);
    const { campaigns, cancelOrders } = services;
    if (state === REFUSED_STATE) {
      const ask = await services.askOrders.open(vin, campaign);
      ctx.set('Cache-Control', 'no-store');
      ctx.body = {
        cancel: null,
        askAgain: ask === undefined ? null : { by: ask.by, reason: ask.reason },
      };
      return;
    }
    if (answer !== undefined) await cancelOrders.answered(vin, answer, ctx.state.address);
    await campaigns.heard(vin, campaign, state);
    const open = await cancelOrders.open(vin, campaign);
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
      campaign: (await services.campaigns.last(vin)) ?? null,
      orders: await services.cancelOrders.list(vin),
    };
  });

  router.answer(cancelCampaign, async (ctx) => {
    const { vin } = parseInput(vehiclePath, ctx.params);
    const { who, reason } = await orderOf(ctx, services);
    const result = await services.cancelOrders.cancel(vin, reason, {
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
    const { who, reason } = await orderOf(ctx, services);
    const { address } = ctx.state;
    const result = await services.askOrders.order(vin, reason, { who, address });
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
  services: Services,
): Promise<{ who: string; reason: string }> {
  const who = nameOf(ctx);
  if (ctx.state.token !== undefined) {
    return { who, ...parseInput(orderReason, (await readJson(ctx, services.clock)).value) };
  }
  const body = await readSmallBody(ctx, services.clock);
  const field = (body.value as { _csrf?: unknown } | null)?._csrf;
  const header = ctx.get('X-CSRF-Token');
  await requireCsrf(ctx, services, header === '' ? String(field ?? '') : header);
  return { who, ...parseInput(orderReason, body.value) };
}

function orderJson(order: StoredOrder, created: boolean): Record<string, unknown> {
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
