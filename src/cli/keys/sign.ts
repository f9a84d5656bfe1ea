// Several people sign in turn: the draft is passed on, on one machine or on several.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { InputError } from '../../core/errors.ts';
import { DiskStorage } from '../../core/storage.ts';
import { fileFault } from '../../core/text-file.ts';
import { mergeFile, parse } from '../../signing/draft.ts';
import { type NameOf, namer, summaryOf } from '../../signing/overview.ts';
import { type KeysWork, show } from '../../signing/work.ts';
import type { RolePayload } from '../../trust/role-signing.ts';

/** Adds signatures to a draft of this folder, or (with `keys`) to a file whose draft is in another folder. */
export async function signFile(
  work: KeysWork,
  file: string,
  keys: readonly string[] | undefined,
): Promise<void> {
  const { context, folder, ceremony } = work;
  const bytes = await readInput(file);
  const { signed } = parse(bytes, file);
  const nameOf = namer(await folder.keys());
  for (const line of readableSummary(signed, nameOf, file)) context.say(line);
  const here = await mergeFile(folder, bytes, file).catch((error: unknown) => {
    // The draft belongs to another person's folder, where it is finished; this folder only has keys.
    if (error instanceof InputError && keys !== undefined) return undefined;
    throw error;
  });
  if (here !== undefined) {
    await show(work, await ceremony.sign(here));
    return;
  }
  const named = await Promise.all((keys ?? []).map((name) => folder.key(name)));
  const storage = await DiskStorage.open(path.dirname(path.resolve(file)));
  await storage.replace(path.basename(file), await ceremony.signElsewhere(bytes, named));
  const names = named.map(({ name }) => name);
  context.emit({ signed: file, version: signed.version, signedBy: names });
  context.say(`signed by ${names.join(', ')}: hand ${file} back, for can-ota keys accept`);
}

/** Takes over the signatures of a file that was signed elsewhere. The ceremony must not sign with its own keys here. */
export async function acceptFile(work: KeysWork, file: string): Promise<void> {
  const draft = await mergeFile(work.folder, await readInput(file), file);
  await show(work, await work.ceremony.sign(draft));
}

/** Throws InputError. */
export async function readInput(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new InputError(file, fileFault(file, error), { cause: error });
  }
}

function readableSummary(signed: RolePayload, nameOf: NameOf, file: string): string[] {
  try {
    return summaryOf(signed, nameOf);
  } catch (error) {
    throw new InputError(file, 'its keys or targets are damaged: do not sign it', { cause: error });
  }
}
