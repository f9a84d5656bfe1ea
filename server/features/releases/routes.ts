// Releases go in (POST /upload).

import type Router from '@koa/router';
import { uploadImage } from '../../../src/contract/endpoints/releases/upload-image.ts';
import type { RouteGuard } from '../../platform/auth/access.ts';
import type { Person } from '../../platform/auth/identity.ts';
import { drain } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import { prefersHtml } from '../../platform/http/problems.ts';
import { type AppContext, type RequestState, requiredPerson } from '../../platform/http/request.ts';
import { seeOther } from '../../platform/http/show-page.ts';
import type { AuditLog } from '../audit/store.ts';
import { storageProblem } from './image-store.ts';
import type { HomePage } from './page.ts';
import type { ReleaseIntake } from './release-intake.ts';
import type { AddResult } from './store.ts';

export interface UploadRoutesParts {
  readonly guard: RouteGuard;
  readonly audit: AuditLog;
  readonly intake: ReleaseIntake;
  readonly page: HomePage;
}

export function uploadRoutes(parts: UploadRoutesParts): Router<RequestState> {
  const router = guardedRouter(parts.guard);

  router.answer(uploadImage, async (ctx) => {
    const person = uploader(ctx);
    const fields = new Map<string, string>();
    try {
      const result = await parts.intake.take(ctx, person, fields);
      await parts.audit.record({
        action: 'upload',
        who: person.name,
        address: ctx.state.address,
        detail: `${result.release.file}, ${result.release.size} bytes${result.kind === 'same' ? ', known already' : ''}`,
      });
      answer(ctx, result);
    } catch (error) {
      const problem = storageProblem(error);
      if (!(problem instanceof HttpProblem)) throw problem;
      if (problem.code !== 'CSRF') {
        await parts.audit.record({
          action: 'upload.refused',
          who: person.name,
          address: ctx.state.address,
          detail: problem.code,
        });
      }
      if (!prefersHtml(ctx)) throw problem;
      drain(ctx.req);
      await parts.page.show(ctx, person, { problem, fields });
    }
  });

  return router;
}

/** An administrator, or the release tool with its token: that one has no session that a page could abuse. */
function uploader(ctx: AppContext): Person {
  const { token } = ctx.state;
  return token === undefined
    ? requiredPerson(ctx)
    : { name: token.name, role: 'admin', csrfToken: '' };
}

function answer(ctx: AppContext, result: AddResult): void {
  ctx.set('Cache-Control', 'no-store');
  if (prefersHtml(ctx)) {
    const query = new URLSearchParams({ released: result.release.file });
    seeOther(ctx, `/?${query}`);
    return;
  }
  const { ecu, version, file, size, sha256, notes } = result.release;
  ctx.status = result.kind === 'added' ? 201 : 200;
  if (result.kind === 'added')
    ctx.set('Location', `${ctx.state.base}/upload/${encodeURIComponent(file)}`);
  ctx.body = { ecu, version, file, size, sha256, notes, created: result.kind === 'added' };
}
