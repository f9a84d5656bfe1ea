// command: a program of the ECU's maker gets the seed as a hexadecimal argument and prints the key as a hexadecimal line.

import { z } from 'zod';
import { keyOfProgram, securityAlgorithm } from './algorithm.ts';

export const command = securityAlgorithm({
  name: 'command',
  fields: {
    command: z.string().min(1),
  },
  summary: 'a program of the ECU’s maker',
  texts: {
    command:
      'path of a program that gets the seed as its last argument and prints the key, both as hexadecimal digits.',
  },
  decisive: 'the program of security.command',
  keyFromSeed({ command: file }, seed, sources) {
    return keyOfProgram({ kind: 'command', file }, seed, sources);
  },
});
