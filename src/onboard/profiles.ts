// Profiles of ECUs: those of this package in ecus/profiles, and files of the user.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parse, YAMLParseError } from 'yaml';
import { InputError } from '../core/errors.ts';
import { packageRoot } from '../core/package-root.ts';
import { fileFault } from '../core/text-file.ts';
import { closestName } from '../vehicle/closest-name.ts';

const FOLDER = path.join(packageRoot, 'ecus', 'profiles');
const ENDING = '.yaml';

/** Names of the profiles of this package. */
export function profileList(): string[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith(ENDING))
    .map((file) => file.slice(0, -ENDING.length))
    .sort();
}

/** A name with a dot or slash is a file, relative to `folder`. Throws InputError that names what there is. */
export function readProfile(name: string, folder: string): unknown {
  const isFile = /[./\\]/.test(name);
  const known = profileList();
  if (!isFile && !known.includes(name)) {
    throw new InputError('profile', `${name} is not known${closestName(name, known)}`);
  }
  const file = isFile ? path.resolve(folder, name) : path.join(FOLDER, `${name}${ENDING}`);
  try {
    return parse(readFileSync(file, 'utf8')) as unknown;
  } catch (error) {
    const fault =
      error instanceof YAMLParseError ? 'is not readable as YAML' : fileFault(file, error);
    throw new InputError('profile', `${name}: ${fault}`, { cause: error });
  }
}
