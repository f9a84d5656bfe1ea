// Packages for small devices go in (POST /ota/packages) and are withdrawn; lists of packages and transfers for operators.

import type Router from '@koa/router';
import { addPackage } from '../../../src/contract/endpoints/small-devices/add-package.ts';
import { listPackages } from '../../../src/contract/endpoints/small-devices/list-packages.ts';
import { listTransfers } from '../../../src/contract/endpoints/small-devices/list-transfers.ts';
import { withdrawPackage } from '../../../src/contract/endpoints/small-devices/withdraw-package.ts';
import { nameOf, type RouteGuard } from '../../platform/auth/access.ts';
import { parseInput } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import type { RequestState } from '../../platform/http/request.ts';
import { storageProblem } from '../releases/image-store.ts';
import { type PackageIntake, packageJson, receivePackage } from './receive-package.ts';
import type { TransferStore } from './transfer-store.ts';
import { answerWithdrawal, type WithdrawalParts } from './withdraw-package.ts';

/** Rows in an answer to an operator. */
const LISTED = 200;

export interface PackageRoutesParts {
  readonly guard: RouteGuard;
  readonly intake: PackageIntake;
  readonly withdrawal: WithdrawalParts;
  readonly transfers: TransferStore;
}

export function packageRoutes(parts: PackageRoutesParts): Router<RequestState> {
  const router = guardedRouter(parts.guard);
  const { intake, withdrawal, transfers } = parts;

  router.answer(addPackage, async (ctx) => {
    const name = nameOf(ctx);
    try {
      const result = await receivePackage(ctx, intake, name);
      ctx.set('Cache-Control', 'no-store');
      ctx.status = result.kind === 'added' ? 201 : 200;
      ctx.body = { ...packageJson(result.package), created: result.kind === 'added' };
    } catch (error) {
      const problem = storageProblem(error);
      if (!(problem instanceof HttpProblem)) throw problem;
      await intake.audit.record({
        action: 'package.refused',
        who: name,
        address: ctx.state.address,
        detail: problem.code,
      });
      throw problem;
    }
  });

  router.answer(withdrawPackage, (ctx) => answerWithdrawal(ctx, withdrawal));

  router.answer(listPackages, async (ctx) => {
    ctx.set('Cache-Control', 'no-store');
    ctx.body = { packages: (await intake.packages.list(LISTED)).map(packageJson) };
  });

  router.answer(listTransfers, async (ctx) => {
    const { serial } = parseInput(listTransfers.request.query, { ...ctx.query });
    ctx.set('Cache-Control', 'no-store');
    ctx.body = { transfers: await transfers.list({ serial, limit: LISTED }) };
  });

  return router;
}
