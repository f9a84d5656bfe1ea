// Brings the backend the signed metadata that it does not have: Roots of both repositories, Targets of the images.

import { InputError } from '../core/errors.ts';
import type { Outcome } from './keys-ceremony.ts';
import { parse } from './keys-draft.ts';
import { REPOSITORIES, type RepositoryName } from './keys-folder.ts';
import type { MetadataAnswer, ReleaseBackend } from './release-backend.ts';
import type { ReleaseWork } from './release-sign.ts';

/** All signed metadata that the backend does not have: after others have signed, after a rotation. */
export async function push(work: ReleaseWork): Promise<void> {
  if (work.backend === undefined) throw new InputError('--server', 'which backend?');
  for (const repository of REPOSITORIES) await pushRoots(work, work.backend, repository);
  await pushTargets(work, work.backend, undefined);
}

/** Throws InputError, BackendError. `outcome`: of the change that made these Targets; a draft is left here. */
export async function pushTargets(
  { context, folder }: ReleaseWork,
  backend: ReleaseBackend,
  outcome: Outcome | undefined,
): Promise<void> {
  if (outcome?.state === 'draft') {
    context.say('The release waits for signatures: can-ota release push when it has them.');
    return;
  }
  const version = (await folder.versions('images', 'targets')).at(-1);
  if (version === undefined) return;
  const bytes = (await folder.storage.read(`images/${version}.targets.json`))!;
  const known = await backend.read('/metadata/targets.json');
  if (known !== undefined && parse(known, 'targets of the backend').signed.version >= version) {
    context.say(`the backend has Targets ${version} already`);
    return;
  }
  const answer = await backend.uploadMetadata('/metadata/targets', bytes);
  if (!answer.taken) {
    // A push to a Director brings it Roots; Targets are for its image repository.
    if (answer.code !== 'NO_REPOSITORY' || outcome !== undefined) throw answer.error;
    context.say('this backend has no image repository: push Targets to the one that has');
    return;
  }
  context.emit({ pushed: 'images targets', version });
  context.say(`Targets ${version} is with the backend`);
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
  const path = repository === 'images' ? '/metadata/root' : '/director/metadata/root';
  const offer = async (version: number): Promise<MetadataAnswer> => {
    const bytes = (await folder.storage.read(`${repository}/${version}.root.json`))!;
    return backend.uploadMetadata(path, bytes);
  };
  const versions = await folder.versions(repository, 'root');
  let refusal: MetadataAnswer | undefined;
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
