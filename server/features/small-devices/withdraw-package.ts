// POST /ota/packages/withdraw: a package for small devices is not offered any more; by tools, and by the form of the page.

import { withdrawPackage } from '../../../src/contract/endpoints/small-devices/withdraw-package.ts';
import { parseInput } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { prefersHtml } from '../../platform/http/problems.ts';
import type { AppContext } from '../../platform/http/request.ts';
import { seeOther } from '../../platform/http/show-page.ts';
import type { OperatorAccess, OperatorRequest } from '../commands/operator-access.ts';
import type { ImageStore } from '../releases/image-store.ts';
import type { HomePage } from '../releases/page.ts';
import type { DevicePackageStore, PackageName } from './package-store.ts';
import { packageJson } from './receive-package.ts';
import type { DevicePackage } from './rows.ts';

export interface WithdrawalParts {
  readonly operators: OperatorAccess;
  readonly packages: DevicePackageStore;
  readonly images: ImageStore;
  readonly page: HomePage;
}

export async function answerWithdrawal(ctx: AppContext, parts: WithdrawalParts): Promise<void> {
  const request = await parts.operators.mayChange(ctx);
  ctx.set('Cache-Control', 'no-store');
  if (request.kind === 'json') {
    ctx.body = await withdraw(
      parts,
      request,
      parseInput(withdrawPackage.request.body, request.value),
    );
    return;
  }
  try {
    ctx.body = await withdraw(
      parts,
      request,
      parseInput(withdrawPackage.request.form, request.value),
    );
  } catch (problem) {
    const { person } = request;
    if (!(problem instanceof HttpProblem) || !prefersHtml(ctx) || person === undefined) {
      throw problem;
    }
    const fields = request.value as Readonly<Record<string, string>>;
    await parts.page.show(ctx, person, { withdrawal: { problem, fields } });
    return;
  }
  if (prefersHtml(ctx)) seeOther(ctx, '/#packages');
}

/** What devices of the model are offered from now on stands in the answer. Throws HttpProblem 404. */
async function withdraw(
  { packages, images }: WithdrawalParts,
  { who, address }: OperatorRequest,
  { reason, ...name }: PackageName & { readonly reason: string },
): Promise<Record<string, unknown>> {
  const result = await packages.withdraw(name, reason, { who, address }, (sha256) =>
    images.remove(sha256),
  );
  if (result.kind === 'unknown') throw notReleased(name);
  const offered = await packages.newest(name.model, name.profile);
  return {
    ...packageJson(result.package),
    changed: result.kind === 'withdrawn',
    stopped: result.stopped,
    offered: offered === undefined ? null : nameOf(offered),
  };
}

function nameOf({ signed: { manifest } }: DevicePackage): Record<string, unknown> {
  return { version: manifest.version, counter: manifest.counter };
}

function notReleased({ model, version, profile }: PackageName): HttpProblem {
  return new HttpProblem(
    404,
    'NOT_FOUND',
    `there is no package ${model} ${version} with profile ${profile}: GET /ota/packages lists what was released`,
  );
}
