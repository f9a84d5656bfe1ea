// The backend's interface for releases: log in or use a token, upload images and signed metadata.

import type { z } from 'zod';
import { pathOf, type WithAnswer } from '../contract/endpoint.ts';
import { askAgain } from '../contract/endpoints/campaigns/ask-again.ts';
import { cancelCampaign } from '../contract/endpoints/campaigns/cancel.ts';
import type { cancelOrder } from '../contract/endpoints/campaigns/cancel-order.ts';
import { showCampaign } from '../contract/endpoints/campaigns/show.ts';
import { uploadImage } from '../contract/endpoints/releases/upload-image.ts';
import { publishedMetadata } from '../contract/endpoints/releases/upload-metadata.ts';
import { withdrawPackage } from '../contract/endpoints/small-devices/withdraw-package.ts';
import { type CanOtaError, InputError } from '../core/errors.ts';
import {
  answer,
  BackendConnection,
  BackendError,
  type BackendOptions,
  type BackendReply,
  type Credentials,
} from '../link/backend-connection.ts';

export { BackendError, type BackendOptions, type Credentials } from '../link/backend-connection.ts';

export interface ImageUpload {
  readonly ecu: string;
  readonly version: string;
  readonly notes: string;
  readonly payload: Blob;
  /** The name of the image at the backend. */
  readonly name: string;
}

export type UploadAnswer =
  | { readonly taken: true }
  /** `code` is that of the backend: `NO_REPOSITORY`, `METADATA_REFUSED`. */
  | { readonly taken: false; readonly code: string | undefined; readonly error: CanOtaError };

export type CancelReply = Readonly<z.output<typeof cancelOrder>>;

export type AskAgainReply =
  | ({ readonly kind: 'ordered' } & Readonly<z.output<typeof askAgain.response.body>>)
  | { readonly kind: 'no-refusal'; readonly reason: string };
export type WithdrawReply = Readonly<z.output<typeof withdrawPackage.response.body>>;

export class ReleaseBackend {
  readonly #connection: BackendConnection;

  private constructor(connection: BackendConnection) {
    this.#connection = connection;
  }

  /** Opens a connection. Throws InputError for a wrong name, password or address, and BackendError. */
  static async logIn(options: BackendOptions, credentials: Credentials): Promise<ReleaseBackend> {
    return new ReleaseBackend(await BackendConnection.logIn(options, credentials));
  }

  /** A connection without authentication, for public files. */
  static withoutLogIn(options: BackendOptions): ReleaseBackend {
    return new ReleaseBackend(BackendConnection.withoutLogIn(options));
  }

  /** Uploads an image; false when the backend already had these bytes for this ECU and version. */
  async uploadImage(image: ImageUpload): Promise<boolean> {
    const form = new FormData();
    form.set('ecu', image.ecu);
    form.set('version', image.version);
    form.set('notes', image.notes);
    // It was read here, whatever its bytes look like.
    form.set('raw', 'yes');
    form.set('file', image.payload, image.name);
    const { file, created } = await this.uploadForm(`upload of ${image.name}`, uploadImage, form);
    if (file !== image.name) {
      throw new BackendError(
        'UNINTELLIGIBLE',
        `the backend calls the image ${file}, the signature is for ${image.name}: nothing was released`,
      );
    }
    return created;
  }

  /** Uploads a form. `doing` is for messages. Throws InputError and BackendError. */
  async uploadForm<T extends z.ZodType>(
    doing: string,
    { method, path, response }: WithAnswer<T>,
    form: FormData,
  ): Promise<z.output<T>> {
    return answer(await this.#get(doing, path, { method, body: form }), response.body, doing);
  }

  /** Withdraws a package; a repetition gives the same answer. Throws InputError where there is no such package. */
  async withdrawPackage(wish: {
    readonly model: string;
    readonly version: string;
    readonly profile: string;
    readonly reason: string;
  }): Promise<WithdrawReply> {
    const doing = `withdrawal of ${wish.model} ${wish.version}`;
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(wish),
    };
    const reply = await this.#connection.send(doing, withdrawPackage.path, init, {
      allowed: [404],
    });
    if (reply.ok) return answer(reply, withdrawPackage.response.body, doing);
    const { code, why, error } = reply;
    if (code !== 'NOT_FOUND') throw error;
    throw new InputError('package', why);
  }

  /** Uploads metadata to a path such as `/metadata/targets`. A refusal is returned and does not throw. */
  async uploadMetadata(path: string, bytes: Uint8Array): Promise<UploadAnswer> {
    const doing = `metadata ${path}`;
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: Uint8Array.from(bytes),
    };
    const reply = await this.#connection.send(doing, path, init, { allowed: [409, 422] });
    if (!reply.ok) return { taken: false, code: reply.code, error: reply.error };
    answer(reply, publishedMetadata, doing);
    return { taken: true };
  }

  /** Orders the end of the campaign of a vehicle; returns the existing order where there is one. */
  async cancelCampaign(
    vin: string,
    reason: string,
  ): Promise<
    | { readonly kind: 'ordered'; readonly order: CancelReply }
    | { readonly kind: 'no-campaign'; readonly reason: string }
  > {
    const doing = `order to ${vin}`;
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ reason }),
    };
    const path = pathOf(cancelCampaign, { vin });
    const reply = await this.#connection.send(doing, path, init, { allowed: [409] });
    if (reply.ok) {
      const { created: _, ...order } = answer(reply, cancelCampaign.response.body, doing);
      return { kind: 'ordered', order };
    }
    const { code, why, error } = reply;
    if (code !== 'NO_CAMPAIGN') throw error;
    return { kind: 'no-campaign', reason: why };
  }

  /** Orders that the driver is asked again about the campaign that was refused last. */
  async askAgain(vin: string, reason: string): Promise<AskAgainReply> {
    const doing = `order to ${vin}`;
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ reason }),
    };
    const path = pathOf(askAgain, { vin });
    const reply = await this.#connection.send(doing, path, init, { allowed: [409] });
    if (reply.ok) return { kind: 'ordered', ...answer(reply, askAgain.response.body, doing) };
    const { code, why, error } = reply;
    if (code !== 'NO_REFUSAL') throw error;
    return { kind: 'no-refusal', reason: why };
  }

  /** The orders to cancel, the newest first. */
  async cancelOrders(vin: string): Promise<readonly CancelReply[]> {
    const doing = `look at the campaign of ${vin}`;
    const path = pathOf(showCampaign, { vin });
    return answer(
      await this.#get(doing, path, { method: 'GET' }),
      showCampaign.response.body,
      doing,
    ).orders;
  }

  /** Reads a public metadata file; undefined when the backend has none. */
  async read(path: string): Promise<Uint8Array | undefined> {
    const reply = await this.#connection.send(
      path,
      path,
      { method: 'GET' },
      {
        allowed: [404],
        expects: 'metadata',
        maxBytes: MAX_METADATA_BYTES,
      },
    );
    return reply.ok ? reply.body : undefined;
  }

  async #get(doing: string, path: string, init: RequestInit): Promise<BackendReply> {
    const reply = await this.#connection.send(doing, path, init);
    if (!reply.ok) throw reply.error;
    return reply;
  }
}

/** Largest metadata file in bytes that readers accept. */
const MAX_METADATA_BYTES = 4 * 1024 * 1024;
