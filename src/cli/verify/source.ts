// Source of the metadata for `can-ota verify`: a URL, or a folder in one of the usual layouts.

import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { InputError, systemErrorCode } from '../../core/errors.ts';
import { fileFault } from '../../core/text-file.ts';
import {
  type MetadataSource,
  metadataSource,
  type SourceOptions,
} from '../../link/metadata-source.ts';
import type { RepositoryName } from '../../trust/full-verification.ts';
import type { Dialect } from '../../trust/profile.ts';
import { type MetadataRequest, TOP_LEVEL } from '../../trust/repository.ts';

/** The part that a verification uses: files by their name. */
export type RepositorySource = Pick<MetadataSource, 'answer'>;

/** Throws InputError for a folder that does not exist. */
export async function repositorySource(
  repository: RepositoryName,
  place: string,
  dialect: Dialect,
  options: SourceOptions = {},
): Promise<RepositorySource> {
  const root = /^https?:\/\//i.test(place) ? place : await metadataFolder(repository, place);
  const source = metadataSource(root, options);
  if (dialect !== 'aktualizr') return source;
  // Repositories for aktualizr keep delegated roles in a separate folder.
  const delegations = metadataSource(`${root.replace(/\/+$/, '')}/delegations`, options);
  return {
    answer: async (request: MetadataRequest) => {
      if (TOP_LEVEL.has(request.role)) return source.answer(request);
      const answer = await delegations.answer(request);
      return answer.kind === 'missing' ? source.answer(request) : answer;
    },
  };
}

/** Subfolders of the given folder: those of can-ota, and those of aktualizr, its generator and its test vectors. */
const NAMES: Readonly<Record<RepositoryName, readonly string[]>> = {
  director: ['director'],
  images: ['images', 'repo', 'image_repo'],
};

/** The folder with the files: `place` itself, or the subfolder of this repository. */
async function metadataFolder(repository: RepositoryName, place: string): Promise<string> {
  const names = NAMES[repository];
  const candidates = [
    '.',
    'metadata',
    ...names,
    ...['metadata', 'repo'].flatMap((folder) => names.map((name) => path.join(folder, name))),
    ...names.map((name) => path.join(name, 'metadata')),
  ];
  for (const candidate of candidates) {
    const folder = path.join(place, candidate);
    if ((await filesIn(folder, `--${repository}`, candidate === '.')).some(isMetadata)) {
      return folder;
    }
  }
  // The folder exists and is empty; the verification refuses it.
  return place;
}

function isMetadata(file: string): boolean {
  return /^(\d+\.)?(root|targets)\.json$/.test(file);
}

async function filesIn(folder: string, option: string, needed: boolean): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    const absent = ['ENOENT', 'ENOTDIR'].includes(systemErrorCode(error) ?? '');
    if (absent && !needed) return [];
    const what = systemErrorCode(error) === 'ENOTDIR' ? `${folder} is no folder` : undefined;
    throw new InputError(option, what ?? fileFault(folder, error), { cause: error });
  }
}
