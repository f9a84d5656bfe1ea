// command: a program of the ECU's maker gets the seed as a hexadecimal argument and prints the key as a hexadecimal line.

import { z } from 'zod';
import { fromHex, toHex } from '../../core/bytes.ts';
import { describeError } from '../../core/errors.ts';
import { securityAlgorithm } from './algorithm.ts';

export const command = securityAlgorithm({
  name: 'command',
  fields: {
    command: z.string().min(1),
  },
  summary: 'a program of the ECU’s maker',
  texts: {
    command:
      'program that gets the seed as its last argument and prints the key, both as hexadecimal digits.',
  },
  decisive: 'the program of security.command',
  async keyFromSeed({ command: program }, seed, { runCommand }) {
    if (runCommand === undefined) {
      return { reason: 'security.algorithm is "command", and this process may not run commands' };
    }
    try {
      const key = fromHex((await runCommand(program, toHex(seed))).trim());
      return key.length === 0 ? { reason: `${program} printed no key` } : { key };
    } catch (error) {
      return {
        reason: `${program} gave no key: ${describeError(error)}; expected the key as hexadecimal digits on one line`,
      };
    }
  },
});
