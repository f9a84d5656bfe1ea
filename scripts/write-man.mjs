// Writes dist/man/*.1 from the commands of the built program; part of `npm run build`.

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const dist = path.resolve(import.meta.dirname, '..', 'dist');
const { createProgram } = await import(path.join(dist, 'src/cli/program.js'));
const { manualPages } = await import(path.join(dist, 'src/cli/completion/man-pages.js'));
const folder = path.join(dist, 'man');
mkdirSync(folder, { recursive: true });
for (const [name, text] of manualPages(createProgram()))
  writeFileSync(path.join(folder, name), text);
