// A package registry on this machine: the packages of the clone's node_modules, so that npm installs without a network.

import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { atTheEnd, folder, root } from './processes.ts';

interface Package {
  readonly name: string;
  readonly version: string;
  readonly folder: string;
  /** What an installation put into the folder: it is not in the package that others install. */
  readonly without?: readonly string[];
}

/** By name and version. `socketcan` is left out: it would be compiled, and an installation goes on without it. */
const LEFT_OUT = new Set(['socketcan', 'can-ota']);

/** Starts it for the present scenario; resolves with its address. */
export async function startRegistry(): Promise<string> {
  const packages = new Map<string, Package>();
  for (const found of packagesIn(path.join(root, 'node_modules'))) {
    packages.set(`${found.name}@${found.version}`, found);
  }
  const node = await nodeOfThisPlatform();
  packages.set(`${node.name}@${node.version}`, node);
  const server = createServer((request, response) => {
    const asked = decodeURIComponent(new URL(request.url ?? '/', 'http://registry').pathname);
    const file = /^\/files\/(.+)\.tgz$/.exec(asked)?.[1];
    if (file !== undefined) return sendPackage(packages.get(file), response);
    const name = asked.slice(1);
    const versions = [...packages.values()].filter((one) => one.name === name);
    if (versions.length === 0) return void response.writeHead(404).end('{}');
    const { port } = server.address() as AddressInfo;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(aboutPackage(name, versions, `http://127.0.0.1:${port}`)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atTheEnd(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

function aboutPackage(name: string, versions: readonly Package[], url: string): object {
  const top = path.join(root, 'node_modules', name);
  const latest = versions.find((one) => one.folder === top) ?? versions[0];
  const about = versions.map(({ version, folder: place }) => {
    const manifest = readManifest(place);
    const tarball = `${url}/files/${encodeURIComponent(`${name}@${version}`)}.tgz`;
    return [version, { ...manifest, dist: { tarball } }] as const;
  });
  return {
    name,
    'dist-tags': { latest: latest?.version },
    versions: Object.fromEntries(about),
  };
}

function sendPackage(asked: Package | undefined, response: ServerResponse): void {
  if (asked === undefined) return void response.writeHead(404).end();
  const out = ['node_modules', ...(asked.without ?? [])].map((name) => `--exclude=./${name}`);
  // Not compressed: npm looks at the bytes, not at the name.
  const tar = spawn('tar', ['-chf', '-', '--transform=s,^\\.,package,', ...out, '.'], {
    cwd: asked.folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  tar.stdout.pipe(response);
}

function packagesIn(modules: string): Package[] {
  if (!existsSync(modules)) return [];
  return readdirSync(modules)
    .flatMap((name) =>
      name.startsWith('@')
        ? readdirSync(path.join(modules, name)).map((inner) => `${name}/${inner}`)
        : [name],
    )
    .filter((name) => existsSync(path.join(modules, name, 'package.json')))
    .flatMap((name) => {
      const place = path.join(modules, name);
      const { version } = readManifest(place);
      const without = name === 'node' ? ['bin'] : [];
      const own = LEFT_OUT.has(name) ? [] : [{ name, version, folder: place, without }];
      return [...own, ...packagesIn(path.join(place, 'node_modules'))];
    });
}

/** The package `node` fetches its program from a package of the platform: here is the program of the clone. */
async function nodeOfThisPlatform(): Promise<Package> {
  const name = `node-${process.platform}-${process.arch}`;
  const { version } = readManifest(path.join(root, 'node_modules', 'node'));
  const place = await folder();
  mkdirSync(path.join(place, 'bin'));
  symlinkSync(process.execPath, path.join(place, 'bin', 'node'));
  const manifest = { name, version, bin: { node: 'bin/node' } };
  writeFileSync(path.join(place, 'package.json'), JSON.stringify(manifest));
  return { name, version, folder: place };
}

function readManifest(place: string): { readonly version: string } {
  return JSON.parse(readFileSync(path.join(place, 'package.json'), 'utf8'));
}
