// Runs the program of an ECU's maker that computes a key from a seed; see `security.algorithm: command`.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

export async function runKeyCommand(command: string, seedHex: string): Promise<string> {
  const { stdout } = await promisify(execFile)(command, [seedHex], { timeout: 10_000 });
  return stdout;
}
