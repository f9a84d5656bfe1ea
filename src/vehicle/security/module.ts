// module: a JavaScript module of the integrator makes the key. It runs in a process of its own.

import { z } from 'zod';
import { type KeyProgram, keyOfProgram, securityAlgorithm } from './algorithm.ts';

export const module = securityAlgorithm({
  name: 'module',
  fields: {
    module: z.string().min(1),
  },
  summary: 'a JavaScript module of the integrator',
  texts: {
    module:
      'path of an ES module whose default export takes { seed, level } (a Uint8Array and a number) and returns the key as a Uint8Array, or a promise of it.',
  },
  decisive: 'the module of security.module',
  keyFromSeed({ module: file, level }, seed, sources) {
    const program: KeyProgram = { kind: 'module', file, level };
    return keyOfProgram(program, seed, sources);
  },
});
