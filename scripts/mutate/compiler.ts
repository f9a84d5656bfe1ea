// Uses TypeScript's parser and checker to find the mutations of a file and to check that a mutation compiles.

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { API, type Snapshot } from 'typescript/unstable/sync';
import { itemAt } from '../../src/core/present.ts';
import { type Mutation, mutationsOf } from './mutations.ts';

export class Compiler implements Disposable {
  readonly #root: string;
  readonly #api: API;
  #snapshot: Snapshot;

  /** `root` is a copy of the project; its files are changed and restored. */
  constructor(root: string) {
    this.#root = root;
    this.#api = new API({ cwd: root });
    this.#snapshot = this.#api.updateSnapshot({ openProjects: [path.join(root, 'tsconfig.json')] });
  }

  mutationsOf(file: string): Mutation[] {
    const sourceFile = this.#program().getSourceFile(path.join(this.#root, file));
    if (sourceFile === undefined) throw new Error(`${file} is no part of tsconfig.json`);
    return mutationsOf(sourceFile, file);
  }

  /** Whether the file compiles. Other files are not checked; the tests must detect errors in them. */
  compiles(mutation: Mutation): boolean {
    const file = path.join(this.#root, mutation.file);
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, mutated(text, mutation));
    this.#changed(file);
    const program = this.#program();
    const faults =
      program.getSyntacticDiagnostics(file).length + program.getSemanticDiagnostics(file).length;
    writeFileSync(file, text);
    this.#changed(file);
    return faults === 0;
  }

  #program() {
    return itemAt(this.#snapshot.getProjects(), 0).program;
  }

  #changed(file: string): void {
    const before = this.#snapshot;
    this.#snapshot = this.#api.updateSnapshot({ fileChanges: { changed: [file] } });
    before.dispose();
  }

  [Symbol.dispose](): void {
    this.#api.close();
  }
}

export function mutated(text: string, { start, end, replacement }: Mutation): string {
  return text.slice(0, start) + replacement + text.slice(end);
}
