// What operators want of the configuration of vehicles (/config).

import type Router from '@koa/router';
import { describeParameters } from '../../../src/contract/configuration.ts';
import {
  changeConfiguration,
  submitConfiguration,
} from '../../../src/contract/endpoints/configuration/change.ts';
import { describeConfiguration } from '../../../src/contract/endpoints/configuration/describe.ts';
import { showConfiguration } from '../../../src/contract/endpoints/configuration/show.ts';
import type { RouteGuard } from '../../platform/auth/access.ts';
import { parseInput } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import type { RequestState } from '../../platform/http/request.ts';
import { answerForm } from '../commands/form-answer.ts';
import { configurationOfForm, expectedVersion } from '../commands/input.ts';
import type { OperatorAccess, OperatorRequest } from '../commands/operator-access.ts';
import { configurationView, warningsOf } from '../commands/views.ts';
import type { VehiclePages } from '../vehicles/page.ts';
import type { ChangeResult, ConfigurationChange, ConfigurationStore } from './store.ts';

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
    await answerForm(ctx, parts.pages, { vin, form: 'configuration', request }, async () => {
      const { body, expected } = configurationOfForm(formOf(request));
      ctx.body = await change(vin, { ...body, expected }, request);
    });
  });

  return router;
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
