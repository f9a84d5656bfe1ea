// Brings the backend the signed metadata that it does not have: Roots of both repositories, Targets of the images.

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
  /** Undefined: sign only. */
  readonly backend: ReleaseBackend | undefined;
}

/** `signed`: no backend was asked for. `waiting`: the backend does not get Targets that lack signatures. */
export type PublishState = 'signed' | 'waiting' | 'published';

/**
 * All signed metadata that the backend does not have: after others have signed, after a rotation. Throws InputError for
 * a folder that is behind the backend, or has gone apart from it.
 */
export async function push(work: ReleaseWork): Promise<PublishState> {
  if (work.backend === undefined) throw new InputError('--server', 'which backend?');
  await requireCurrent(work.folder, work.backend);
  for (const repository of REPOSITORIES) await pushRoots(work, work.backend, repository);
  return pushTargets(work, work.backend, undefined);
}

/** Throws InputError, BackendError. `outcome`: of the change that made these Targets; a draft is left here. */
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
  // Another copy of the folder may have been faster.
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
    // A push to a Director brings it Roots; Targets are for its image repository.
    if (answer.code !== 'NO_REPOSITORY' || outcome !== undefined) throw answer.error;
    context.say('this backend has no image repository: push Targets to the one that has');
    return 'published';
  }
  context.emit({ pushed: 'images targets', version });
  context.say(`Targets ${version} is with the backend`);
  return 'published';
}

/**
 * A backend takes the Root that it has and the one after it. So the newest is offered first, then older ones until one
 * is taken, and from there on upwards.
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
      // Other keys are needed: an older Root would not help.
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
