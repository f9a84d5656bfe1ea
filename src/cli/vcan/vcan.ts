// `can-ota vcan -- COMMAND`: hands the command to scripts/with-vcan.sh of this package, and its exit code out.

import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import path from 'node:path';
import { describeError } from '../../core/errors.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { packageRoot } from '../../core/package-root.ts';

const SCRIPT = path.join(packageRoot, 'scripts', 'with-vcan.sh');
export interface VcanOptions {
  readonly interface: readonly string[];
  readonly out?: string;
  readonly memory?: string;
  readonly way?: 'auto' | 'direct' | 'uml';
}

/** Where signals are counted from in exit codes of a shell. */
const SIGNAL_BASE = 128;

/** The arguments of with-vcan.sh. */
export function vcanArguments(command: readonly string[], options: VcanOptions): string[] {
  const given = ['out', 'memory', 'way'] as const;
  return [
    ...options.interface.flatMap((name) => ['--interface', name]),
    ...given.flatMap((name) => {
      const value = options[name];
      return value === undefined ? [] : [`--${name}`, value];
    }),
    '--',
    ...command,
  ];
}

/** Standard input, output and error, the folder and the environment are those of this process. */
export async function vcan(command: readonly string[], options: VcanOptions): Promise<void> {
  // A package that came through an archive may have lost the mode of its files.
  const child = spawn('sh', [SCRIPT, ...vcanArguments(command, options)], {
    stdio: 'inherit',
    env: { ...process.env, CAN_OTA_VCAN_NAME: 'can-ota vcan' },
  });
  // Control-C reaches the command by the terminal; other signals are passed on.
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => child.kill(signal));
  }
  process.exitCode = await new Promise<number>((resolve) => {
    child.on('error', (error) => {
      process.stderr.write(`can-ota: sh: ${describeError(error)}\n`);
      resolve(ExitCode.internal);
    });
    child.on('exit', (code, signal) => {
      resolve(code ?? SIGNAL_BASE + constants.signals[signal ?? 'SIGTERM']);
    });
  });
}
