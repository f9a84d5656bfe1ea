// Campaigns under way: vehicles tell where they are (POST /vehicle/campaign), operators cancel (POST /vehicles/<vin>/cancel).

import type Router from '@koa/router';
import type { Middleware } from 'koa';
import { z } from 'zod';
import { nameOf, requireOwnVehicle } from '../../platform/auth/access.ts';
import { parseInput, readJson, readSmallBody } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import { cancelBody, statusBody, vehicleId } from '../../platform/http/input.ts';
import { prefersHtml } from '../../platform/http/problems.ts';
import type { AppContext, RequestState } from '../../platform/http/request.ts';
import type { Services } from '../../platform/http/services.ts';
import { seeOther } from '../../platform/http/show-page.ts';
import { requireCsrf } from '../people/people.ts';
import type { StoredOrder } from './cancel-order-store.ts';
import type { StoredCampaign } from './store.ts';

/** A vehicle tells so of a campaign that has ended by its driver's word, and hears whether it is asked again. */
const REFUSED_STATE = 'refused';

const vehiclePath = z.object({ vin: vehicleId });

export function campaignRoutes(
  services: Services,
  sessions: Middleware<RequestState>,
): Router<RequestState> {
  const router = guardedRouter(services, sessions);

  router.post('/vehicle/campaign', async (ctx) => {
    const body = parseInput(statusBody, await readJson(ctx, services.clock));
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

  router.get('/vehicles/:vin/campaign', async (ctx) => {
    const { vin } = parseInput(vehiclePath, ctx.params);
    ctx.set('Cache-Control', 'no-store');
    ctx.body = {
      vin,
      campaign: (await services.campaigns.last(vin)) ?? null,
      orders: await services.cancelOrders.list(vin),
    };
  });

  router.post('/vehicles/:vin/cancel', async (ctx) => {
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

  router.post('/vehicles/:vin/ask-again', async (ctx) => {
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
    return { who, ...parseInput(cancelBody, await readJson(ctx, services.clock)) };
  }
  const body = await readSmallBody(ctx, services.clock);
  const field = (body.value as { _csrf?: unknown } | null)?._csrf;
  const header = ctx.get('X-CSRF-Token');
  await requireCsrf(ctx, services, header === '' ? String(field ?? '') : header);
  return { who, ...parseInput(cancelBody, body.value) };
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
