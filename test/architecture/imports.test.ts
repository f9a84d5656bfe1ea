// The dependency rule of the architecture, read from the imports: static, dynamic, and of types.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');

/** Who may import whom, besides itself. The table in docs/architecture.md is this table. */
const BELOW = ['src/contract', 'src/image', 'src/vehicle', 'src/trust', 'src/core'] as const;
const VEHICLE_SIDE = [
  'src/tmu',
  'src/drivers',
  'src/campaign',
  'src/factory',
  'src/link',
  ...BELOW,
] as const;
const WIRE = ['src/uds', 'src/isotp', 'src/xcp', 'src/bus'] as const;
const WORLD = [
  'src/onboard',
  'src/signing',
  'src/device',
  'ecus',
  'server',
  ...VEHICLE_SIDE,
  ...WIRE,
] as const;

const ALLOWED: Record<string, readonly string[]> = {
  'src/core': [],
  'src/bus': ['src/core'],
  'src/isotp': ['src/bus', 'src/core'],
  'src/uds': ['src/isotp', 'src/core'],
  'src/xcp': ['src/bus', 'src/core'],
  'src/image': ['src/core'],
  'src/vehicle': ['src/core'],
  'src/trust': ['src/core'],
  'src/contract': ['src/trust', 'src/vehicle', 'src/core'],
  'src/link': ['src/contract', 'src/trust', 'src/core'],
  'src/campaign': ['src/image', 'src/vehicle', 'src/trust', 'src/core'],
  'src/drivers': ['src/campaign', 'src/uds', 'src/xcp', ...BELOW],
  'src/tmu': ['src/campaign', 'src/link', ...BELOW],
  'src/device': ['src/link', 'src/contract', 'src/image', 'src/trust', 'src/core'],
  'src/signing': ['src/link', ...BELOW],
  'src/factory': ['src/drivers', 'src/link', 'src/uds', ...BELOW],
  'src/onboard': [...VEHICLE_SIDE, ...WIRE],
  'src/library': ['src/onboard', ...VEHICLE_SIDE, ...WIRE],
  ecus: [...WIRE, ...BELOW],
  server: ['src/contract', 'src/image', 'src/trust', 'src/core'],
  'src/bench': WORLD,
  'src/sim': WORLD,
  'src/cli': ['src/bench', 'src/sim', ...WORLD],
};

/** Packages with one home: the files (or folders) that may import them. */
const HOMES: Record<string, readonly string[]> = {
  socketcan: ['src/bus/'],
  got: ['src/link/'],
  'p-retry': ['src/link/'],
  koa: ['server/'],
  '@koa/router': ['server/'],
  commander: ['src/cli/'],
  kysely: ['server/features/', 'server/platform/db/'],
  pino: ['src/cli/'],
  '@tufjs/models': ['src/trust/'],
  '@tufjs/canonical-json': ['src/trust/'],
};

/**
 * Files that put parts together: commands, what onboard, bench and simulation assemble, the object at the top of a room,
 * and lists. Everything else imports few files.
 */
const COMPOSITION_ROOTS: readonly RegExp[] = [
  /^src\/(cli|onboard|bench|library)\//,
  /^src\/tmu\/(tmu|executor|remote\/remote-features|uptane\/uptane-source)\.ts$/,
  /^src\/(device\/open-client|link\/sealed-client|tmu\/http-backend)\.ts$/,
  /^src\/campaign\/single\.ts$/,
  /^src\/drivers\/(ecu-driver|ecu-services|first-image|openblt)\.ts$/,
  /^src\/factory\/provision\.ts$/,
  /^src\/sim\/(simulated-vehicle|small-device|episode|observer|template)\.ts$/,
  /^src\/sim\/(faults|invariants)\/catalogue\.ts$/,
  /^src\/uds\/services\/all\.ts$/,
  /^ecus\/(create-ecu|bootloader\/bootloader|foreign\/foreign-ecu|openblt\/board)\.ts$/,
  /^server\/(server|compose|features\/[^/]+\/open)\.ts$/,
  /^server\/features\/director\/(director|uptane)\.ts$/,
];
const MOST_IMPORTS = 15;

interface Import {
  readonly file: string;
  readonly target: string;
}

function sources(folder: string): string[] {
  return readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name}`);
}

/** Every specifier of `import ... from`, `export ... from`, `import('...')` and `import '...'`. */
function importsOf(text: string): string[] {
  const pattern = /(?:\bfrom\s*|\bimport\s*\(\s*|^\s*import\s+)(['"])([^'"]+)\1/gm;
  return [...text.matchAll(pattern)].map((match) => match[2]!);
}

const files = ['src', 'ecus', 'server'].flatMap(sources);
const imports: Import[] = files.flatMap((file) =>
  importsOf(readFileSync(path.join(root, file), 'utf8')).map((target) => ({ file, target })),
);

function areaOf(file: string): string {
  const [first, second] = file.split('/');
  return first === 'src' ? `src/${second}` : first!;
}

describe('imports', () => {
  it('are found in every form', () => {
    const text = [
      `import { a } from './a.ts';`,
      `import type { B } from "./b.ts";`,
      `export { c } from './c.ts';`,
      `const d = await import('./d.ts');`,
      `import './e.ts';`,
      `type F = import('./f.ts').F;`,
    ].join('\n');
    expect(importsOf(text)).toEqual(['./a.ts', './b.ts', './c.ts', './d.ts', './e.ts', './f.ts']);
    expect(files.length).toBeGreaterThan(50);
    expect(imports.length).toBeGreaterThan(150);
  });

  it('follow the dependency rule', () => {
    const broken = imports.flatMap(({ file, target }) => {
      if (!target.startsWith('.')) return [];
      const area = areaOf(file);
      const other = areaOf(path.posix.join(path.posix.dirname(file), target));
      const allowed = ALLOWED[area];
      if (allowed === undefined) return [`${file}: the folder ${area} is not in the rule`];
      if (other === area || allowed.includes(other)) return [];
      return [`${file} imports ${target}: ${area} may import ${allowed.join(', ') || 'nothing'}`];
    });
    expect(broken).toEqual([]);
  });

  it('are allowed as the table of the architecture page says', () => {
    const page = readFileSync(path.join(root, 'docs', 'architecture.md'), 'utf8');
    const rows = [...page.matchAll(/^(\S+) {2,}.*<- (.*)$/gm)];
    const areaOfWord = (word: string): string =>
      ['ecus', 'server'].includes(word) ? word : `src/${word}`;
    expect(rows.map(([, area]) => area).sort()).toEqual(Object.keys(ALLOWED).sort());
    for (const [, area = '', below = ''] of rows) {
      const allowed = ALLOWED[area] ?? [];
      const named = below
        .split(' ')
        .filter((word) => !['nothing', 'everything', 'and', 'below'].includes(word))
        .map(areaOfWord);
      if (/below|everything/.test(below)) expect(allowed).toEqual(expect.arrayContaining(named));
      else expect([area, [...allowed].sort()]).toEqual([area, named.sort()]);
    }
    // The picture shows a part of it.
    const [, picture = ''] = /^```mermaid\n(.*?)^```$/ms.exec(page) ?? [];
    const arrows = [...picture.matchAll(/^ {2}(.+-->.+)$/gm)].flatMap(([, line = '']) => {
      const groups = line.split('-->').map((group) => group.match(/\b\w+\b(?=\[|\s|$)/g) ?? []);
      return groups
        .slice(1)
        .flatMap((to, index) =>
          (groups[index] ?? []).flatMap((from) => to.map((each) => [from, each] as const)),
        );
    });
    expect(arrows.length).toBeGreaterThan(20);
    for (const [from, to] of arrows) expect(ALLOWED[areaOfWord(from)]).toContain(areaOfWord(to));
  });

  it('of the server go from features to the platform, never back', () => {
    const broken = imports.filter(({ file, target }) => {
      const other = path.posix.join(path.posix.dirname(file), target);
      return file.startsWith('server/platform/') && /^server\/(features\/|[^/]+$)/.test(other);
    });
    expect(broken).toEqual([]);
  });

  it('make no circle of files', () => {
    const targets = new Map<string, string[]>(files.map((file) => [file, []]));
    for (const { file, target } of imports) {
      if (!target.startsWith('.')) continue;
      const other = path.posix.join(path.posix.dirname(file), target);
      if (targets.has(other)) targets.get(file)!.push(other);
    }
    // What imports nothing that is left goes, again and again: what stays is in a circle, or above one.
    const below = (left: ReadonlyMap<string, string[]>): Map<string, string[]> =>
      new Map([...left].filter(([, others]) => others.some((other) => left.has(other))));
    let left: Map<string, string[]> = targets;
    for (let next = below(left); next.size < left.size; next = below(left)) left = next;
    expect([...left.keys()]).toEqual([]);
  });

  it('are few in a file that puts nothing together', () => {
    const counts = new Map<string, Set<string>>();
    for (const { file, target } of imports) {
      // The endpoints of the contract are one file each: a folder of them counts as one.
      const place = path.posix.join(path.posix.dirname(file), target);
      const counted = place.includes('src/contract/endpoints/') ? path.posix.dirname(place) : place;
      if (target.startsWith('.')) counts.set(file, (counts.get(file) ?? new Set()).add(counted));
    }
    const many = [...counts].filter(
      ([file, { size }]) =>
        size > MOST_IMPORTS && !COMPOSITION_ROOTS.some((pattern) => pattern.test(file)),
    );
    expect(many.map(([file, { size }]) => `${file}: ${size}`)).toEqual([]);
  });

  it('keep each package in its one home', () => {
    const strays = imports.flatMap(({ file, target }) => {
      const homes = HOMES[target];
      if (homes === undefined || homes.some((home) => file.startsWith(home))) return [];
      return [`${file} imports ${target}, whose home is ${homes.join(', ')}`];
    });
    expect(strays).toEqual([]);
    const homesOfSocketcan = new Set(
      imports.filter((i) => i.target === 'socketcan').map((i) => i.file),
    );
    expect([...homesOfSocketcan]).toHaveLength(1);
  });

  it('name files with their extension, and there are no barrels', () => {
    expect(
      imports.filter((i) => i.target.startsWith('.') && !/\.(ts|json)$/.test(i.target)),
    ).toEqual([]);
    expect(files.filter((file) => path.basename(file) === 'index.ts')).toEqual([]);
  });
});

describe('names', () => {
  it('no type is exported twice', () => {
    const declared = new Map<string, string[]>();
    // The codecs of UDS services are read behind the name of their module: `readDataByIdentifier.encodeRequest`.
    for (const file of files.filter((name) => !name.startsWith('src/uds/services/'))) {
      const text = readFileSync(path.join(root, file), 'utf8');
      const pattern = /^export (?:declare )?(?:abstract )?(?:interface|type|class) (\w+)/gm;
      for (const [, name] of text.matchAll(pattern)) {
        declared.set(name!, [...(declared.get(name!) ?? []), file]);
      }
    }
    expect(declared.size).toBeGreaterThan(500);
    expect([...declared].filter(([, homes]) => homes.length > 1)).toEqual([]);
  });
});

describe('capabilities', () => {
  it('clock, random and files of the machine are asked for in src/core and the composition root only', () => {
    const machine =
      /\bDate\.now\(|\bMath\.random\(|\bsetTimeout\(|\bsetInterval\(|\bperformance\.now\(|['"]node:fs/;
    /** Composition roots and tools on a person's files, processes and sockets of a bus, images as streams, and the simulation's own settling. */
    const excused = [
      /^src\/core\//,
      /^src\/(cli|bench|onboard|signing|factory)\//,
      /^src\/image\/image-file/,
      /^src\/link\/metadata-source/,
      /^src\/bus\/(local-broker|socketcan)/,
      /^server\/features\/releases\//,
      /^src\/sim\/virtual-clock/,
    ];
    const users = files.filter(
      (file) =>
        !excused.some((pattern) => pattern.test(file)) &&
        machine.test(readFileSync(path.join(root, file), 'utf8').replaceAll(/\/\/.*$/gm, '')),
    );
    expect(users).toEqual([]);
  });

  it('every file says in its first line what it is', () => {
    const silent = files.filter((file) => {
      const lines = readFileSync(path.join(root, file), 'utf8').split('\n');
      const first = lines[0]!.startsWith('#!') ? lines[1]! : lines[0]!;
      return !/^(\/\/|\/\*\*?) \S/.test(first);
    });
    expect(silent).toEqual([]);
  });
});
