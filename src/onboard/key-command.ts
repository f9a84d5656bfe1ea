// Runs the program of an ECU's maker that computes a key from a seed; see `security.algorithm: command`.

import { execFile } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { KeyCommand } from '../vehicle/security/algorithm.ts';

const TIMEOUT_MS = 10_000;

/** Prints the key that the default export of the module makes. */
const MODULE_RUNNER = `
  const [file, seed, level] = process.argv.slice(1);
  const { default: keyFromSeed } = await import(file);
  if (typeof keyFromSeed !== 'function') throw new TypeError('its default export is no function');
  const key = await keyFromSeed({ seed: Uint8Array.from(Buffer.from(seed, 'hex')), level: Number(level) });
  if (!(key instanceof Uint8Array)) throw new TypeError('its default export returned no Uint8Array');
  console.log(Buffer.from(key).toString('hex'));
`;

export const runKeyCommand: KeyCommand = async (program, seedHex) => {
  const run = promisify(execFile);
  const options = { timeout: TIMEOUT_MS };
  if (program.kind === 'command') return (await run(program.file, [seedHex], options)).stdout;
  const { href } = pathToFileURL(program.file);
  const script = ['--input-type=module', '--eval', MODULE_RUNNER];
  const args = [...script, href, seedHex, String(program.level)];
  return (await run(process.execPath, args, options)).stdout;
};
