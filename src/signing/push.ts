// Uploads the signed metadata that the backend lacks: Roots of both repositories, Targets of the image repository.

import { pathOf } from '../contract/endpoint.ts';
import { uploadDirectorRoot } from '../contract/endpoints/director/upload-root.ts';
import { uploadMetadata } from '../contract/endpoints/releases/upload-metadata.ts';
import type { Context } from '../core/context.ts';
import { InputError } from '../core/errors.ts';
import { present } from '../core/present.ts';
import type { RepositoryName } from '../trust/full-verification.ts';
import type { Ceremony, CeremonyOutcome } from './ceremony.ts';
import { compare, requireCurrent, requireNotBehind } from './compare.ts';
import type { KeyFolder } from './folder.ts';
import { REPOSITORIES } from './folder.ts';
import type { ReleaseBackend, UploadAnswer } from './release-backend.ts';

export interface ReleaseWork {
  readonly context: Pick<Context, 'say' | 'emit'>;
  readonly folder: KeyFolder;
  readonly ceremony: Ceremony;
  /** The backend; undefined: sign only. */
  readonly backend: ReleaseBackend | undefined;
}

/** `signed`: without a backend. `waiting`: Targets still lack signatures and were not uploaded. */
export type PublishState = 'signed' | 'waiting' | 'published';

/**
 * Uploads all signed metadata that the backend lacks, for instance after others have signed or after a key rotation.
 * Throws InputError for a folder that is behind the backend or apart from it.
 */
export async function push(work: ReleaseWork): Promise<PublishState> {
  if (work.backend === undefined) throw new InputError('--server', 'is missing: name the backend');
  await requireCurrent(work.folder, work.backend);
  for (const repository of REPOSITORIES) await pushRoots(work, work.backend, repository);
  return pushTargets(work, work.backend, undefined);
}

/** Uploads Targets. `outcome`: the change that made them; a draft is not uploaded. Throws InputError, BackendError. */
export async function pushTargets(
  { context, folder }: ReleaseWork,
  backend: ReleaseBackend,
  outcome: CeremonyOutcome | undefined,
): Promise<PublishState> {
  if (outcome?.state === 'draft') {
    context.emit({ published: false, version: outcome.version });
    context.say(
      'The release is not published: it waits for signatures. can-ota release push when it has them.',
    );
    return 'waiting';
  }
  const comparison = await compare(folder, backend, 'images', 'targets');
  const { here: version } = comparison;
  if (version === 0) return 'published';
  // Another copy of the folder may have published in the meantime.
  requireNotBehind(folder, comparison);
  if (comparison.relation === 'same') {
    context.say(`the backend has Targets ${version} already, with the same content`);
    return 'published';
  }
  const name = `images/${version}.targets.json`;
  const bytes = present(await folder.storage.read(name), name);
  const answer = await backend.uploadMetadata(pathOf(uploadMetadata, { role: 'targets' }), bytes);
  if (!answer.taken) {
    if (answer.code === 'METADATA_REFUSED') {
      requireNotBehind(folder, await compare(folder, backend, 'images', 'targets'));
    }
    // A Director without an image repository takes only Roots.
    if (answer.code !== 'NO_REPOSITORY' || outcome !== undefined) throw answer.error;
    context.say('this backend has no image repository: push Targets to a backend that has one');
    return 'published';
  }
  context.emit({ pushed: 'images targets', version });
  context.say(`Targets ${version} is with the backend`);
  return 'published';
}

/**
 * Uploads Roots. A backend accepts its present Root and the next one. So the newest is tried first, then older ones
 * until one is accepted, and then the newer ones in order.
 */
async function pushRoots(
  { context, folder }: ReleaseWork,
  backend: ReleaseBackend,
  repository: RepositoryName,
): Promise<void> {
  const path =
    repository === 'images' ? pathOf(uploadMetadata, { role: 'root' }) : uploadDirectorRoot.path;
  const offer = async (version: number): Promise<UploadAnswer> => {
    const name = `${repository}/${version}.root.json`;
    const bytes = present(await folder.storage.read(name), name);
    return backend.uploadMetadata(path, bytes);
  };
  const versions = await folder.versions(repository, 'root');
  let refusal: UploadAnswer | undefined;
  for (const version of versions.toReversed()) {
    const answer = await offer(version);
    if (!answer.taken) {
      if (answer.code === 'NO_REPOSITORY') return;
      // A refusal for other reasons: an older Root would not help.
      if (answer.code !== 'METADATA_REFUSED') throw answer.error;
      refusal ??= answer;
      continue;
    }
    for (const next of versions.filter((other) => other > version)) {
      const later = await offer(next);
      if (!later.taken) throw later.error;
    }
    context.emit({ pushed: `${repository} root`, version: versions.at(-1) });
    context.say(`Root ${versions.at(-1)} (${repository}) is with the backend`);
    return;
  }
  if (refusal?.taken === false) throw refusal.error;
}
