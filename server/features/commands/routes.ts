// What operators want of vehicles and see of them: configuration (/config), commands (/commands), measured data (/telemetry), the last check-in.

import type Router from '@koa/router';
import { describeParameters } from '../../../src/contract/configuration.ts';
import { cancelCommand, submitCancel } from '../../../src/contract/endpoints/commands/cancel.ts';
import { showCatalogue } from '../../../src/contract/endpoints/commands/catalogue.ts';
import { listCommands } from '../../../src/contract/endpoints/commands/list.ts';
import { orderCommand } from '../../../src/contract/endpoints/commands/order.ts';
import { showCommand } from '../../../src/contract/endpoints/commands/show.ts';
import {
  changeConfiguration,
  submitConfiguration,
} from '../../../src/contract/endpoints/configuration/change.ts';
import { describeConfiguration } from '../../../src/contract/endpoints/configuration/describe.ts';
import { showConfiguration } from '../../../src/contract/endpoints/configuration/show.ts';
import { listSamples } from '../../../src/contract/endpoints/telemetry/list-samples.ts';
import { vehicleCheckin } from '../../../src/contract/endpoints/vehicles/vehicle-checkin.ts';
import type { Clock } from '../../../src/core/clock.ts';
import type { RouteGuard } from '../../platform/auth/access.ts';
import { parseInput } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import { prefersHtml } from '../../platform/http/problems.ts';
import type { AppContext, RequestState } from '../../platform/http/request.ts';
import { seeOther } from '../../platform/http/show-page.ts';
import type {
  ChangeResult,
  ConfigurationChange,
  ConfigurationStore,
} from '../configuration/store.ts';
import type { TelemetryStore } from '../telemetry/store.ts';
import { checkinJson } from '../vehicles/checkin-view.ts';
import type { FormName, VehiclePages } from '../vehicles/page.ts';
import type { VehicleStore } from '../vehicles/store.ts';
import { shownState } from '../vehicles/vehicle-state.ts';
import { commandOfForm, configurationOfForm, expectedVersion } from './input.ts';
import type { OperatorAccess, OperatorRequest } from './operator-access.ts';
import type { StoredCommand } from './rows.ts';
import { type CommandStore, MAX_OPEN, type NotOrdered, type OrderedCommand } from './store.ts';
import { configurationView, csvOf, warningsOf } from './views.ts';

export interface ObservationRoutesParts {
  readonly guard: RouteGuard;
  readonly clock: Clock;
  readonly operators: OperatorAccess;
  readonly telemetry: TelemetryStore;
  readonly vehicles: VehicleStore;
}

/** What was heard of a vehicle. */
export function observationRoutes(parts: ObservationRoutesParts): Router<RequestState> {
  const router = guardedRouter(parts.guard);

  router.answer(listSamples, async (ctx) => {
    const vin = await parts.operators.knownVehicle(ctx);
    const { format, ...filter } = parseInput(listSamples.request.query, { ...ctx.query });
    const samples = await parts.telemetry.samples(vin, filter);
    const accepted = ctx.accepts('application/json', 'text/csv') === 'text/csv' ? 'csv' : 'json';
    if ((format ?? accepted) === 'csv') {
      ctx.type = 'text/csv; charset=utf-8';
      ctx.body = csvOf(samples);
      return;
    }
    ctx.body = { vin, counts: await parts.telemetry.counts(vin), samples };
  });

  router.answer(vehicleCheckin, async (ctx) => {
    const vin = await parts.operators.knownVehicle(ctx);
    const vehicle = await parts.vehicles.find(vin);
    if (vehicle === undefined) {
      throw new HttpProblem(404, 'VEHICLE_UNKNOWN', `${vin} has not checked in yet`);
    }
    ctx.set('Cache-Control', 'no-store');
    ctx.body = checkinJson(shownState(vehicle, parts.clock.wallMs()));
  });

  return router;
}

export interface ConfigurationRoutesParts {
  readonly guard: RouteGuard;
  readonly operators: OperatorAccess;
  readonly pages: VehiclePages;
  readonly configurations: ConfigurationStore;
}

export function configurationRoutes(parts: ConfigurationRoutesParts): Router<RequestState> {
  const router = guardedRouter(parts.guard);
  const { configurations } = parts;
  const change = async (
    vin: string,
    wish: ConfigurationChange,
    { who, address }: OperatorRequest,
  ): Promise<Record<string, unknown>> => {
    const result = await configurations.change(vin, wish, { who, address });
    if (result.kind === 'other-version') throw changedMeanwhile(vin, result);
    const { version } = result.configuration;
    const warnings = warningsOf(wish.parameters);
    return { vin, version, changed: result.kind === 'changed', warnings };
  };

  router.answer(describeConfiguration, async (ctx) => {
    ctx.body = describeParameters();
  });

  router.answer(showConfiguration, async (ctx) => {
    const vin = await parts.operators.knownVehicle(ctx);
    ctx.body = await configurationView(configurations, vin);
  });

  router.answer(changeConfiguration, async (ctx) => {
    const request = await parts.operators.mayChange(ctx);
    const vin = await parts.operators.knownVehicle(ctx);
    const { parameters, comment } = parseInput(changeConfiguration.request.body, jsonOf(request));
    const expected = expectedVersion(ctx.get('If-Match'));
    ctx.body = await change(vin, { parameters, comment, expected }, request);
  });

  // The form of the page: a browser can send no PUT without a script.
  router.answer(submitConfiguration, async (ctx) => {
    const request = await parts.operators.mayChange(ctx);
    const vin = await parts.operators.knownVehicle(ctx);
    await inPlace(ctx, parts.pages, { vin, form: 'configuration', request }, async () => {
      const { body, expected } = configurationOfForm(formOf(request));
      ctx.body = await change(vin, { ...body, expected }, request);
    });
  });

  return router;
}

export interface CommandRoutesParts {
  readonly guard: RouteGuard;
  readonly operators: OperatorAccess;
  readonly pages: VehiclePages;
  readonly commands: CommandStore;
}

export function commandRoutes(parts: CommandRoutesParts): Router<RequestState> {
  const router = guardedRouter(parts.guard);
  const { commands } = parts;

  router.answer(listCommands, async (ctx) => {
    const vin = await parts.operators.knownVehicle(ctx);
    const query = parseInput(listCommands.request.query, { ...ctx.query });
    ctx.body = { vin, commands: await commands.list(vin, query) };
  });

  router.answer(showCatalogue, async (ctx) => {
    const vin = await parts.operators.knownVehicle(ctx);
    const told = await commands.catalogue(vin);
    if (told === undefined) throw noCatalogue(vin);
    ctx.body = { vin, ...told };
  });

  router.answer(showCommand, async (ctx) => {
    const vin = await parts.operators.knownVehicle(ctx);
    const command = await commands.find(vin, String(ctx.params.id));
    if (command === undefined) throw noCommand(vin);
    ctx.body = command;
  });

  router.answer(orderCommand, async (ctx) => {
    const request = await parts.operators.mayChange(ctx);
    const { who, address, kind, value } = request;
    const vin = await parts.operators.knownVehicle(ctx);
    const order = async (wish: OrderedCommand): Promise<void> => {
      const result = await commands.order(vin, wish, { who, address });
      if (result.kind !== 'ordered' && result.kind !== 'known') throw notOrdered(vin, result);
      ctx.status = result.kind === 'ordered' ? 201 : 200;
      ctx.body = { ...result.command, created: result.kind === 'ordered' };
    };
    if (kind !== 'form') {
      await order(parseInput(orderCommand.request.body, value));
      return;
    }
    await inPlace(ctx, parts.pages, { vin, form: 'command', request }, async () => {
      const told = await commands.catalogue(vin);
      await order(commandOfForm(value, told?.catalogue));
    });
  });

  const cancel = async (ctx: AppContext, { who, address }: OperatorRequest): Promise<void> => {
    const vin = await parts.operators.knownVehicle(ctx);
    const result = await commands.cancel(vin, String(ctx.params.id), { who, address });
    if (result.kind === 'unknown') throw noCommand(vin);
    if (result.kind === 'over') throw overAlready(result.command);
    ctx.status = result.kind === 'requested' ? 202 : 200;
    ctx.body = { ...result.command };
  };

  router.answer(cancelCommand, async (ctx) => {
    await cancel(ctx, await parts.operators.mayChange(ctx));
  });

  router.answer(submitCancel, async (ctx) => {
    const request = await parts.operators.mayChange(ctx);
    const vin = await parts.operators.knownVehicle(ctx);
    const place = { vin, form: 'cancel', request } as const;
    await inPlace(ctx, parts.pages, place, () => cancel(ctx, request));
  });

  return router;
}

/**
 * Does what a form asks for. A browser is led back to the vehicle's page; where that fails it gets the page with what
 * was wrong, beside the form and with what was filled in.
 */
async function inPlace(
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

function jsonOf({ kind, value }: OperatorRequest): unknown {
  if (kind === 'json') return value;
  throw new HttpProblem(415, 'UNSUPPORTED_MEDIA_TYPE', 'expected application/json');
}

function formOf({ kind, value }: OperatorRequest): unknown {
  if (kind === 'form') return value;
  throw new HttpProblem(415, 'UNSUPPORTED_MEDIA_TYPE', 'POST is for the form of the page: use PUT');
}

function changedMeanwhile(
  vin: string,
  { version }: Extract<ChangeResult, { kind: 'other-version' }>,
): HttpProblem {
  return new HttpProblem(
    409,
    'CONFIGURATION_CHANGED',
    `the configuration of ${vin} is at version ${version} now: look at it and change it again`,
  );
}

function noCatalogue(vin: string): HttpProblem {
  return new HttpProblem(
    409,
    'NO_CATALOGUE',
    `${vin} has not told yet what its ECUs can be told to do: it does at its first contact`,
  );
}

function noCommand(vin: string): HttpProblem {
  return new HttpProblem(404, 'NOT_FOUND', `there is no such command for ${vin}`);
}

function overAlready({ id, state, endedAt }: StoredCommand): HttpProblem {
  return new HttpProblem(
    409,
    'COMMAND_OVER',
    `there is nothing to cancel: ${id} ended ${endedAt} with ${state}`,
  );
}

function notOrdered(vin: string, result: NotOrdered): HttpProblem {
  switch (result.kind) {
    case 'no-catalogue':
      return noCatalogue(vin);
    case 'key-reused': {
      const { id, ecu, action } = result.command;
      const detail = `under this key ${ecu} ${action} was ordered as ${id}: choose another key`;
      return new HttpProblem(409, 'KEY_REUSED', detail);
    }
    case 'too-many':
      return new HttpProblem(
        409,
        'COMMAND_LIMIT',
        `${MAX_OPEN} commands for ${vin} are not over yet: wait for them or cancel some`,
      );
    case 'expiry':
      return new HttpProblem(400, 'BAD_FIELD', `expiresAt: ${result.reason}`);
    default:
      return new HttpProblem(422, result.refusal.code, result.refusal.reason);
  }
}
