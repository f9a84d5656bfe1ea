// Administrators fetch uploaded images directly (GET /upload/<file>).

import type Router from '@koa/router';
import { uploadedImage } from '../../../src/contract/endpoints/releases/uploaded-image.ts';
import { imageFile } from '../../../src/contract/fields.ts';
import { firstIssue } from '../../../src/core/schema-issue.ts';
import type { RouteGuard } from '../../platform/auth/access.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import { type RequestState, requiredPerson } from '../../platform/http/request.ts';
import { type ImageSender, imageNotFound } from './send-image.ts';
import type { ReleaseStore } from './store.ts';

export function uploadedRoutes(parts: {
  readonly guard: RouteGuard;
  readonly releases: ReleaseStore;
  readonly sender: ImageSender;
}): Router<RequestState> {
  const router = guardedRouter(parts.guard);

  router.answer(uploadedImage, async (ctx) => {
    const person = requiredPerson(ctx);
    const name = imageFile.safeParse(ctx.params.file);
    if (!name.success) throw new HttpProblem(400, 'BAD_NAME', firstIssue(name.error).message);
    const found = parts.releases.byFile(name.data);
    if (found === undefined) throw imageNotFound();
    await parts.sender.send(ctx, found, {
      who: person.name,
      actions: { complete: 'image.download', aborted: 'image.download' },
    });
  });

  return router;
}
