// A release comes in: the image and its fields are received, checked and stored, and the release is added.

import { uploadFields } from '../../../src/contract/endpoints/releases/upload-image.ts';
import type { Person } from '../../platform/auth/identity.ts';
import { requireCsrf } from '../../platform/auth/person-session.ts';
import { parseInput } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import type { AppContext } from '../../platform/http/request.ts';
import type { AuditLog } from '../audit/store.ts';
import type { DevicePackageStore } from '../small-devices/package-store.ts';
import type { ImageStore } from './image-store.ts';
import { payloadOf } from './payload.ts';
import { receiveUpload, type Upload } from './receive-upload.ts';
import type { AddResult, ReleaseStore } from './store.ts';

/** What came before the file, as far as it came. */
const earlyFields = uploadFields.partial();

export interface ReleaseIntakeParts {
  readonly audit: AuditLog;
  readonly images: ImageStore;
  readonly releases: ReleaseStore;
  readonly packages: Pick<DevicePackageStore, 'holds'>;
  readonly maxUploadBytes: number;
}

export class ReleaseIntake {
  readonly #parts: ReleaseIntakeParts;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: ReleaseIntakeParts) {
    this.#parts = parts;
  }

  /** `seen` receives the fields as far as they came, for a form that is shown again. Throws HttpProblem. */
  async take(ctx: AppContext, person: Person, seen: Map<string, string>): Promise<AddResult> {
    const upload = await this.#receive(ctx, seen);
    // One at a time: between the look at the table and the new row no other upload may end.
    const work = (): Promise<AddResult> => this.#release(person, upload);
    const result = this.#turn.then(work, work);
    this.#turn = result.catch(() => {});
    return result;
  }

  async #receive(ctx: AppContext, seen: Map<string, string>): Promise<Upload> {
    const { audit, images, maxUploadBytes } = this.#parts;
    const header = ctx.get('X-CSRF-Token');
    const byTool = ctx.state.token !== undefined;
    if (header !== '' && !byTool) await requireCsrf(ctx, { audit }, header);
    const upload = await receiveUpload(ctx.req, {
      images,
      maxBytes: maxUploadBytes,
      beforeFile: async (fields) => {
        for (const [name, value] of fields) seen.set(name, value);
        if (header === '' && !byTool) await requireCsrf(ctx, { audit }, fields.get('_csrf'));
        // The fields before the file are checked before the file is received, the others afterwards.
        const given = Object.fromEntries(fields);
        const { ecu, version, notes, raw } = given;
        parseInput(earlyFields, { ecu, version, notes, raw });
      },
    });
    for (const [name, value] of upload.fields) seen.set(name, value);
    const image = await payloadOf(upload, images, maxUploadBytes);
    return { ...upload, image };
  }

  async #release(person: Person, { image, fields: given }: Upload): Promise<AddResult> {
    const { images, releases, packages } = this.#parts;
    const known = releases.holds(image.sha256) || (await packages.holds(image.sha256));
    let kept = false;
    try {
      const fields = parseInput(uploadFields, Object.fromEntries(given));
      // The file is there before the row that names it: a power cut in between leaves a file without a row,
      // which the next upload of the same image replaces.
      await image.commit();
      const { ecu, version, notes } = fields;
      const result = await releases.add({
        ecu,
        version,
        notes,
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
      if (!kept && !known) await images.remove(image.sha256);
    }
  }
}
