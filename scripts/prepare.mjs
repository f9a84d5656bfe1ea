// Runs after `npm ci` in a clone: installs socketcan when an old Node's npm left it out, and builds dist.

import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');

function run(command, args, env = {}) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
  });
  return error === undefined && status === 0;
}

// npm names the Node that it runs on in its user agent: `npm/11.19.1 node/v20.20.2 linux x64`.
const npmNode = /\bnode\/v([\d.]+)/.exec(process.env.npm_config_user_agent ?? '')?.[1];
const oldest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')).engines.node;
const [major, minor] = (npmNode ?? '').split('.').map(Number);
const [neededMajor, neededMinor] = oldest.replace('>=', '').split('.').map(Number);
if (
  npmNode !== undefined &&
  process.env.CAN_OTA_PREPARE === undefined &&
  (major < neededMajor || (major === neededMajor && minor < neededMinor))
) {
  process.stderr.write(
    `npm runs on Node ${npmNode}; can-ota itself, npx and each npm script in this folder run on Node ${process.versions.node}.\n`,
  );
}

// npm silently leaves an optional package out when the Node that runs npm is too old for it. In this script
// node_modules/.bin is first in PATH, so its npm runs on the Node 24 that was just installed.
const socketcan = path.join(root, 'node_modules', 'socketcan');
if (
  process.platform === 'linux' &&
  !existsSync(socketcan) &&
  process.env.CAN_OTA_PREPARE === undefined
) {
  const lock = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  if (lock.packages?.['node_modules/socketcan'] !== undefined) {
    const nested = { CAN_OTA_PREPARE: '1' };
    const complete =
      run(
        'npm',
        ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
        nested,
      ) && run('npm', ['rebuild', 'socketcan', '--loglevel=error'], nested);
    if (!complete) {
      process.stderr.write(
        'socketcan could not be built (it needs make and a C++ compiler): the local bus works, `--bus vcan0` does not.\n',
      );
    }
  }
}

if (
  !run(process.execPath, [
    path.join(root, 'node_modules', 'typescript', 'bin', 'tsc'),
    '-p',
    'tsconfig.build.json',
  ]) ||
  !run(process.execPath, [path.join(root, 'scripts', 'write-build-date.mjs')]) ||
  !run('node', [path.join(root, 'scripts', 'write-man.mjs')])
) {
  process.exit(1);
}
// `npx can-ota` runs this file as a program.
chmodSync(path.join(root, 'dist', 'src', 'cli', 'main.js'), 0o755);
