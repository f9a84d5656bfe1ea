// Commands to the ECUs of vehicles: ordered, looked at and cancelled by operators (/commands).

import type Router from '@koa/router';
import { cancelCommand, submitCancel } from '../../../src/contract/endpoints/commands/cancel.ts';
import { showCatalogue } from '../../../src/contract/endpoints/commands/catalogue.ts';
import { listCommands } from '../../../src/contract/endpoints/commands/list.ts';
import { orderCommand } from '../../../src/contract/endpoints/commands/order.ts';
import { showCommand } from '../../../src/contract/endpoints/commands/show.ts';
import type { RouteGuard } from '../../platform/auth/access.ts';
import { parseInput } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import type { AppContext, RequestState } from '../../platform/http/request.ts';
import type { VehiclePages } from '../vehicles/page.ts';
import { answerForm } from './form-answer.ts';
import { commandOfForm } from './input.ts';
import type { OperatorAccess, OperatorRequest } from './operator-access.ts';
import type { StoredCommand } from './rows.ts';
import { type CommandStore, MAX_OPEN, type NotOrdered, type OrderedCommand } from './store.ts';

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
    await answerForm(ctx, parts.pages, { vin, form: 'command', request }, async () => {
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
    await answerForm(ctx, parts.pages, place, () => cancel(ctx, request));
  });

  return router;
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
