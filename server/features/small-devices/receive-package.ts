// A package for small devices comes in: its signature is checked before the image is received, its digest afterwards.

import {
  type ReleaseKey,
  readReleaseKey,
  type SignedManifest,
  signedBy,
  signedManifest,
} from '../../../src/contract/chunked/package.ts';
import { packageFields } from '../../../src/contract/endpoints/small-devices/add-package.ts';
import { parseJsonText } from '../../../src/core/json.ts';
import { itemAt, present } from '../../../src/core/present.ts';
import { badJson, parseInput } from '../../platform/http/body.ts';
import { HttpProblem } from '../../platform/http/errors.ts';
import type { AppContext } from '../../platform/http/request.ts';
import type { AuditLog } from '../audit/store.ts';
import type { ImageStore } from '../releases/image-store.ts';
import { receiveUpload } from '../releases/receive-upload.ts';
import type { ReleaseStore } from '../releases/store.ts';
import type { AddPackageResult, DevicePackageStore } from './package-store.ts';
import type { DevicePackage } from './rows.ts';

export interface PackageIntake {
  readonly audit: AuditLog;
  readonly images: ImageStore;
  readonly packages: DevicePackageStore;
  readonly releases: Pick<ReleaseStore, 'holds'>;
  readonly maxUploadBytes: number;
}

interface CheckedPackage {
  readonly signed: SignedManifest;
  readonly key: ReleaseKey;
  readonly pem: string;
}

/**
 * A form with the fields `manifest` and `public_key` before the `file`. Throws HttpProblem: 400 for what cannot be read, 422
 * `PACKAGE_REFUSED` for a wrong signature or digest, 409 `PACKAGE_KEY` for a model whose packages another key signs, 409
 * `PACKAGE_CONFLICT` for a version that is another image, 409 `PACKAGE_WITHDRAWN` for one that was withdrawn. In all of these nothing
 * was kept.
 */
export async function receivePackage(
  ctx: AppContext,
  parts: PackageIntake,
  who: string,
): Promise<AddPackageResult> {
  const { images, packages, releases, audit } = parts;
  const found: CheckedPackage[] = [];
  const upload = await receiveUpload(ctx.req, {
    images,
    maxBytes: parts.maxUploadBytes,
    beforeFile: async (fields) => {
      found.push(await checkPackage(parts, Object.fromEntries(fields)));
    },
  });
  const { image } = upload;
  // An upload without a file was refused above, and what is before a file was checked.
  const { signed, key, pem } = itemAt(found, 0);
  const { manifest } = signed;
  let kept = releases.holds(image.sha256) || (await packages.holds(image.sha256));
  try {
    if (image.sha256 !== manifest.sha256 || image.size !== manifest.length) {
      throw refused(
        `the file has ${image.size} bytes with SHA-256 ${image.sha256}, the manifest names ${manifest.length} bytes with ${manifest.sha256}`,
      );
    }
    // Two first packages of a model at the same time: one of the keys is too late here.
    const pinned = await packages.pinKey(manifest.model, manifest.profile, { id: key.id, pem });
    requireKey(pinned, signed, key);
    // The file is there before the row that names it.
    await image.commit();
    const result = await packages.add(signed, key.id, who);
    if (result.kind === 'withdrawn') throw withdrawnForGood(result.package);
    if (result.kind === 'conflict') {
      throw new HttpProblem(
        409,
        'PACKAGE_CONFLICT',
        result.package.signed.manifest.version === manifest.version
          ? `${manifest.model} ${manifest.version} was released with another image or counter: give this one a new version`
          : `${manifest.model} ${manifest.version} was released as ${result.package.signed.manifest.version}, which is the same version: give this one a new version`,
      );
    }
    kept = true;
    await audit.record({
      action: 'package.released',
      who,
      address: ctx.state.address,
      detail: `${manifest.model} ${manifest.version}, counter ${manifest.counter}, profile ${manifest.profile}, key ${key.id.slice(0, 16)}`,
    });
    return result;
  } finally {
    await image.discard();
    if (!kept) await images.remove(image.sha256);
  }
}

async function checkPackage(
  { packages }: Pick<PackageIntake, 'packages'>,
  fields: Readonly<Record<string, string>>,
): Promise<CheckedPackage> {
  const { manifest, public_key: pem } = parseInput(packageFields, fields);
  const signed = parseInput(signedManifest, jsonOf(manifest));
  const key = readReleaseKey(pem);
  if (key === undefined) {
    throw new HttpProblem(
      400,
      'BAD_FIELD',
      'public_key: expected an Ed25519 or RSA-2048 public key as PEM (BEGIN PUBLIC KEY)',
    );
  }
  if (!signedBy(signed, key)) throw refused('the manifest is not signed by this key');
  const pinned = await packages.keyOf(signed.manifest.model, signed.manifest.profile);
  if (pinned !== undefined) requireKey(pinned, signed, key);
  const known = await packages.find(signed.manifest);
  if (known?.withdrawn !== undefined) throw withdrawnForGood(known);
  // A form may have changed its line breaks.
  return { signed, key, pem: key.key.export({ type: 'spki', format: 'pem' }).toString() };
}

function requireKey(pinned: string, { manifest }: SignedManifest, key: ReleaseKey): void {
  if (pinned === key.id) return;
  throw new HttpProblem(
    409,
    'PACKAGE_KEY',
    `packages of ${manifest.model} (${manifest.profile}) are signed with key ${pinned.slice(0, 16)}, this one with ${key.id.slice(0, 16)}: its devices would refuse it`,
  );
}

function withdrawnForGood({ signed: { manifest }, withdrawn }: DevicePackage): HttpProblem {
  const { by, at, reason } = present(withdrawn, 'the withdrawal of a withdrawn package');
  return new HttpProblem(
    409,
    'PACKAGE_WITHDRAWN',
    `${manifest.model} ${manifest.version} was withdrawn by ${by} at ${at} (${reason}), and a withdrawn version does not come back: release the image under a new version`,
  );
}

function jsonOf(text: string): unknown {
  try {
    return parseJsonText(text);
  } catch (cause) {
    throw badJson('the field manifest', cause);
  }
}

function refused(reason: string): HttpProblem {
  return new HttpProblem(422, 'PACKAGE_REFUSED', reason);
}

export function packageJson(released: DevicePackage): Record<string, unknown> {
  const { type: _, format: __, ...manifest } = released.signed.manifest;
  return {
    ...manifest,
    key_id: released.keyId,
    released_by: released.releasedBy,
    released_at: released.releasedAt,
    withdrawn: released.withdrawn ?? null,
  };
}
