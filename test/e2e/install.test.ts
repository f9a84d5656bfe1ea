// docs/install.md: npm install -g of the packed file and npm link from a clone put can-ota on the PATH, under both Nodes.

import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { startRegistry } from './support/local-registry.ts';
import { oldNode, pack } from './support/packed.ts';
import { folder, root, run, scenario } from './support/processes.ts';

/** The Node of the project, and the machine's own where it is an older one. */
const nodes = [{ name: 'Node 24', program: process.execPath }];
const old = oldNode();
if (old === undefined) {
  process.stderr.write(
    'left out: an installation under an old Node: there is no Node 16 to 23 here\n',
  );
} else nodes.push({ name: 'the old Node of the machine', program: old });
const hasNpm = spawnSync('npm', ['--version']).status === 0;
if (!hasNpm) process.stderr.write('left out: the installation: there is no npm here\n');

/** An environment in which `node` is this program, and nothing is known of npm's settings here. */
async function environment(program: string, prefix: string): Promise<NodeJS.ProcessEnv> {
  const place = await folder();
  await symlink(program, path.join(place, 'node'));
  const foreign = Object.keys(process.env).filter((name) => /^npm_/i.test(name));
  return {
    ...Object.fromEntries(foreign.map((name) => [name, undefined])),
    HOME: place,
    // This Node stands before one that is installed beside the package: `can-ota` has to find that by itself.
    PATH: `${place}:${path.join(prefix, 'bin')}:/usr/local/bin:/usr/bin:/bin`,
    npm_config_prefix: prefix,
    npm_config_cache: path.join(place, 'cache'),
    npm_config_update_notifier: 'false',
    npm_config_audit: 'false',
    npm_config_fund: 'false',
  };
}

/** What docs/install.md promises of a command on the PATH. */
async function expectCommand(env: NodeJS.ProcessEnv): Promise<void> {
  const cwd = await folder();
  const can = async (...args: readonly string[]): Promise<string> => {
    const ended = await run(args, { env, cwd, program: ['env', 'can-ota'] });
    expect(ended.exit?.code, `${args.join(' ')}: ${ended.stderr}`).toBe(0);
    return ended.lines.join('\n');
  };
  const { version } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'));
  expect(await can('--version')).toBe(version);
  expect(await can('bench', '--help')).toContain('--approve <answer>');
  const vehicle = await can('vehicle', 'new', '1CANXTATEST000001');
  await writeFile(path.join(cwd, 'vehicle.yaml'), vehicle);
  expect(await can('vehicle', 'check', 'vehicle.yaml')).toContain('4 ECUs');
}

describe.each(nodes)('under $name', ({ program }) => {
  scenario('npm install -g of the packed file puts can-ota on the PATH', async () => {
    if (!hasNpm) return;
    const prefix = await folder();
    const packed = await pack(await folder());
    const registry = await startRegistry();
    const env = { ...(await environment(program, prefix)), npm_config_registry: registry };
    // As the page says: an old Node gets the package node beside it.
    const beside = program === process.execPath ? [] : ['node@24'];
    const install = await run(['install', '--global', packed.file, ...beside], {
      env,
      program: ['env', 'npm'],
    });
    expect(install.exit?.code, install.stderr).toBe(0);
    await expectCommand(env);
  });

  scenario('npm link from a clone puts can-ota on the PATH', async () => {
    if (!hasNpm) return;
    const prefix = await folder();
    const place = await folder();
    const packed = await pack(place);
    const unpack = await run(['-xzf', packed.file, '-C', place], { program: ['tar'] });
    expect(await unpack.code()).toBe(0);
    // A clone after `npm ci`: built, with its packages beside it.
    const clone = path.join(place, 'package');
    await mkdir(path.join(clone, 'node_modules'));
    for (const name of await readdir(path.join(root, 'node_modules'))) {
      const from = path.join(root, 'node_modules', name);
      await symlink(from, path.join(clone, 'node_modules', name));
    }
    const env = { ...(await environment(program, prefix)), npm_config_offline: 'true' };
    const link = await run(['link', '--ignore-scripts'], {
      env,
      cwd: clone,
      program: ['env', 'npm'],
    });
    expect(link.exit?.code, link.stderr).toBe(0);
    await expectCommand(env);
  });
});

describe('npm ci in a clone', () => {
  scenario('prints no warning about an old Node', async () => {
    if (!hasNpm || old === undefined) return;
    const clone = await folder();
    for (const name of ['package.json', 'package-lock.json', '.npmrc']) {
      await copyFile(path.join(root, name), path.join(clone, name));
    }
    const env = { ...(await environment(old, await folder())), npm_config_offline: 'true' };
    const ci = async (...args: readonly string[]) =>
      run(['ci', '--dry-run', '--ignore-scripts', ...args], {
        env,
        cwd: clone,
        program: ['env', 'npm'],
      });
    const quiet = await ci();
    expect(quiet.exit?.code, quiet.stderr).toBe(0);
    expect(quiet.stderr).toBe('');
    // The warnings are those that the settings of the clone leave out.
    expect((await ci('--loglevel=warn')).stderr).toContain('EBADENGINE');
  });
});

describe('the container', () => {
  scenario('installs a backend that works with the options of its file', async () => {
    if (!hasNpm) return;
    const text = await readFile(path.join(root, 'packaging', 'Containerfile'), 'utf8');
    const options = /^RUN npm install (--global .*?) \/tmp\/can-ota\.tgz/m.exec(text)?.[1];
    expect(options).toBeDefined();
    const prefix = await folder();
    const packed = await pack(await folder());
    const env = {
      ...(await environment(process.execPath, prefix)),
      npm_config_registry: await startRegistry(),
    };
    const args = ['install', ...(options ?? '').split(' '), packed.file];
    const install = await run(args, { env, program: ['env', 'npm'] });
    expect(install.exit?.code, install.stderr).toBe(0);
    // A person of the backend has a password, and that needs the program of a platform.
    const data = path.join(await folder(), 'data');
    const user = ['server', 'user', 'add', 'alice', '--role', 'admin', '--data', data];
    const added = await run(user, {
      env,
      input: 'correct horse battery staple\n',
      program: ['env', 'can-ota'],
    });
    expect(added.exit?.code, added.stderr).toBe(0);
  });
});
