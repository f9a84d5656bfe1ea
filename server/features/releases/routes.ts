// Releases go in (POST /upload) and administrators fetch images directly (GET /upload/<file>).

import type Router from '@koa/router';
import {
  uploadFields,
  uploadImage,
} from '../../../src/contract/endpoints/releases/upload-image.ts';
import { uploadedImage } from '../../../src/contract/endpoints/releases/uploaded-image.ts';
import { imageFile } from '../../../src/contract/fields.ts';
import { firstIssue } from '../../../src/core/schema-issue.ts';
import type { RouteGuard } from '../../platform/auth/access.ts';
import type { Person } from '../../platform/auth/identity.ts';
import { requireCsrf } from '../../platform/auth/person-session.ts';
import { drain, parseInput } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import { guardedRouter } from '../../platform/http/guarded-router.ts';
import { prefersHtml } from '../../platform/http/problems.ts';
import { type AppContext, type RequestState, requiredPerson } from '../../platform/http/request.ts';
import { seeOther } from '../../platform/http/show-page.ts';
import type { AuditLog } from '../audit/store.ts';
import type { DevicePackageStore } from '../small-devices/package-store.ts';
import { type ImageStore, storageProblem } from './image-store.ts';
import type { HomePage } from './page.ts';
import { receiveUpload, type Upload } from './receive-upload.ts';
import { type ImageSender, imageNotFound } from './send-image.ts';
import type { AddResult, ReleaseStore } from './store.ts';

/** What came before the file, as far as it came. */
const earlyFields = uploadFields.partial();

export interface UploadRoutesParts {
  readonly guard: RouteGuard;
  readonly audit: AuditLog;
  readonly releases: ReleaseStore;
  readonly images: ImageStore;
  readonly packages: Pick<DevicePackageStore, 'holds'>;
  readonly sender: ImageSender;
  readonly page: HomePage;
  readonly maxUploadBytes: number;
}

export function uploadRoutes(parts: UploadRoutesParts): Router<RequestState> {
  const router = guardedRouter(parts.guard);
  // One at a time: between the look at the table and the new row no other upload may end.
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = turn.then(work, work);
    turn = result.catch(() => {});
    return result;
  };

  router.answer(uploadImage, async (ctx) => {
    const person = uploader(ctx);
    const fields = new Map<string, string>();
    try {
      const upload = await receive(ctx, parts, fields);
      const result = await inTurn(() => release(parts, person, upload));
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

/** An administrator, or the release tool with its token: that one has no session that a page could abuse. */
function uploader(ctx: AppContext): Person {
  const { token } = ctx.state;
  return token === undefined
    ? requiredPerson(ctx)
    : { name: token.name, role: 'admin', csrfToken: '' };
}

/** `seen` receives the fields as far as they came, for a form that is shown again. */
async function receive(
  ctx: AppContext,
  parts: UploadRoutesParts,
  seen: Map<string, string>,
): Promise<Upload> {
  const header = ctx.get('X-CSRF-Token');
  const byTool = ctx.state.token !== undefined;
  if (header !== '' && !byTool) await requireCsrf(ctx, parts, header);
  const upload = await receiveUpload(ctx.req, {
    images: parts.images,
    maxBytes: parts.maxUploadBytes,
    beforeFile: async (fields) => {
      for (const [name, value] of fields) seen.set(name, value);
      if (header === '' && !byTool) await requireCsrf(ctx, parts, fields.get('_csrf'));
      // What came before the file is judged before the file is taken in; the rest afterwards.
      const given = Object.fromEntries(fields);
      parseInput(earlyFields, { ecu: given.ecu, version: given.version, notes: given.notes });
    },
  });
  for (const [name, value] of upload.fields) seen.set(name, value);
  return upload;
}

async function release(
  parts: UploadRoutesParts,
  person: Person,
  upload: Upload,
): Promise<AddResult> {
  const { image } = upload;
  const known = parts.releases.holds(image.sha256) || (await parts.packages.holds(image.sha256));
  let kept = false;
  try {
    const fields = parseInput(uploadFields, Object.fromEntries(upload.fields));
    // The file is there before the row that names it: a power cut in between leaves a file without a row,
    // which the next upload of the same image replaces.
    await image.commit();
    const result = await parts.releases.add({
      ...fields,
      size: image.size,
      sha256: image.sha256,
      uploadedBy: person.name,
    });
    if (result.kind === 'conflict') {
      const { version, sha256 } = result.release;
      const spelled =
        version === fields.version ? '' : ` as ${version}, which is the same version,`;
      throw new HttpProblem(
        409,
        'RELEASE_CONFLICT',
        `${fields.ecu} ${fields.version} was released${spelled} with other content (SHA-256 ${sha256}): give this image a new version`,
      );
    }
    kept = true;
    return result;
  } finally {
    await image.discard();
    if (!kept && !known) await parts.images.remove(image.sha256);
  }
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
