// What `npm run mutate` may change in a file, and which changes still compile. TypeScript runs as a process.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { Compiler, mutated } from '../../scripts/mutate/compiler.ts';

const SOURCE = `import { log } from './log.ts';
type Kind = 1 | 2;
export function sum(a: number, b: number, isFast: boolean): number {
  if (a === b && !isFast) note(a, b);
  log.info({ a }, 'never mutated');
  return a < 3 ? a + b : Math.min(b, a);
}
function note(a: number, b: number): void {
  console.log({ left: a, right: b });
}
export const isReady: true | false = true;
export const kind: Kind = 2;
`;

it('every operator, condition, constant, call and order, and nothing of types, imports and logs', async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'can-ota-mutations-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const config = {
    compilerOptions: {
      strict: true,
      noEmit: true,
      module: 'nodenext',
      target: 'es2024',
      types: [],
    },
    include: ['*.ts'],
  };
  await writeFile(path.join(root, 'tsconfig.json'), JSON.stringify(config));
  await writeFile(path.join(root, 'a.ts'), SOURCE.replaceAll('.ts', '.js'));
  const log = 'export const log = { info(_fields: object, _words: string): void {} };';
  await writeFile(path.join(root, 'log.ts'), log);
  using compiler = new Compiler(root);
  const found = compiler.mutationsOf('a.ts');
  expect(found.map(({ line, change }) => `${line} ${change}`)).toEqual([
    '3 export function sum(a: number, b: number, isFast: boolean): ...: returns at once',
    '4 a === b && !isFast: && -> ||',
    '4 a === b: === -> !==',
    '4 !isFast: without !',
    '4 note(a, b); removed',
    '4 a and b swapped',
    '6 a < 3: < -> <=',
    '6 3 -> (3 + 1)',
    '6 a + b: + -> -',
    '8 function note(a: number, b: number): void: returns at once',
    '9 console.log({ left: a, right: b }); removed',
    '9 a and b swapped',
    '11 true -> false',
    '12 2 -> (2 + 1)',
  ]);
  const text = await readFile(path.join(root, 'a.ts'), 'utf8');
  expect(mutated(text, found[2]!)).toContain('if (a !== b && !isFast)');
  const broken = found.filter((mutation) => !compiler.compiles(mutation));
  expect(broken.map(({ line }) => line)).toEqual([3, 12]);
  expect(await readFile(path.join(root, 'a.ts'), 'utf8')).toBe(text);
});
