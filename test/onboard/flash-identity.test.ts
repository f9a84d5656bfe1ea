// Whose keys `flash` uses for an ECU that authenticates its tester, when it is told where the metadata is.

import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { identityBeside } from '../../src/onboard/flash-metadata.ts';
import { temporaryFolder } from '../cli/keys-support.ts';

async function stateOfTmu(): Promise<string> {
  const folder = await temporaryFolder();
  await writeFile(path.join(folder, 'identity.json'), '{}');
  return folder;
}

it('takes the identity beside the metadata of a TMU', async () => {
  const metadata = await stateOfTmu();
  expect(await identityBeside({ metadata })).toEqual({
    identity: path.join(metadata, 'identity.json'),
  });
});

it('leaves the choice to --identity and --bench-keys', async () => {
  const metadata = await stateOfTmu();
  expect(await identityBeside({ metadata, identity: 'other.json' })).toEqual({});
  expect(await identityBeside({ metadata, benchKeys: true })).toEqual({});
});

it('finds none beside a bundle, in a folder without one, and where nothing was named', async () => {
  const folder = await temporaryFolder();
  await mkdir(path.join(folder, 'identity.json'));
  const bundle = path.join(folder, 'bundle.json');
  await writeFile(bundle, '{}');
  expect(await identityBeside({ metadata: folder })).toEqual({});
  expect(await identityBeside({ metadata: bundle })).toEqual({});
  expect(await identityBeside({})).toEqual({});
});
