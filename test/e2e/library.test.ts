// docs/library.md: each of its files runs against the packed package, and the types of the package fit them.

import { mkdir, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { pack } from './support/packed.ts';
import { folder, type Run, root, run, scenario, start } from './support/processes.ts';

const bin = path.join(root, 'node_modules', '.bin');

/** A user's folder with the packed package installed, and the files of the page. */
async function installed(): Promise<string> {
  const place = await folder();
  const { file } = await pack(place);
  await run(['-xzf', file, '-C', place], { program: ['tar'] });
  const modules = path.join(place, 'node_modules');
  await mkdir(modules);
  for (const name of await readdir(path.join(root, 'node_modules'))) {
    await symlink(path.join(root, 'node_modules', name), path.join(modules, name));
  }
  await rename(path.join(place, 'package'), path.join(modules, 'can-ota'));
  await writeFile(path.join(place, 'package.json'), '{ "type": "module" }');
  const page = await readFile(path.join(root, 'docs', 'library.md'), 'utf8');
  for (const [, name, text] of page.matchAll(/^```ts file=(\S+)\n(.*?)^```$/gms)) {
    await writeFile(path.join(place, name ?? ''), text ?? '');
  }
  return place;
}

describe('the library', () => {
  scenario('does what its page shows', async () => {
    const place = await installed();
    const here = { cwd: place, program: [process.execPath] };
    const ecu = start(['ecu.ts'], { ...here, keepInput: true });
    await ecu.line(/^ready$/);
    const said = async (file: string): Promise<readonly string[]> => {
      const ended: Run = await run([file], here);
      expect(ended.stderr).toBe('');
      return ended.lines;
    };
    expect(await said('tester.ts')).toEqual(['1.0.0']);
    expect(await said('messages.ts')).toEqual(['N_OK 3000']);
    // There is no ECU on this bus: the failure is a value.
    expect(await said('flash.ts')).toEqual([expect.stringMatching(/^SILENT: ECU .*no answer/)]);
    const vitest = { cwd: place, program: [path.join(bin, 'vitest')] };
    const tested = await run(['run', '--root', place, 'ecu.test.ts'], vitest);
    expect(await tested.code(), tested.lines.join('\n')).toBe(0);

    const options = ['--noEmit', '--strict', '--erasableSyntaxOnly'];
    const modern = [
      '--target',
      'esnext',
      '--module',
      'nodenext',
      '--types',
      'node',
      '--skipLibCheck',
    ];
    const files = ['ecu.ts', 'tester.ts', 'messages.ts', 'flash.ts'];
    const typed = await run([...options, ...modern, ...files], {
      cwd: place,
      program: [path.join(bin, 'tsc')],
    });
    expect(typed.lines).toEqual([]);
    // Everything else is private.
    await writeFile(path.join(place, 'private.mjs'), "import 'can-ota/dist/src/uds/client.js';\n");
    const refused = await run(['private.mjs'], here);
    expect(refused.stderr).toContain('ERR_PACKAGE_PATH_NOT_EXPORTED');
  });
});
