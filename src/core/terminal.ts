// What a terminal can do, and its echo while a picture is redrawn on it.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** The part of an output stream that a picture needs. */
export interface PictureTerminal {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Columns of a terminal that does not say how many it has. */
export const USUAL_COLUMNS = 80;

/** Whether the cursor can be moved on `stream`: a terminal, and none of the kind `dumb`. */
export function canRedraw(
  stream: { readonly isTTY?: boolean },
  environment: NodeJS.ProcessEnv = process.env,
): boolean {
  const { TERM } = environment;
  return stream.isTTY === true && TERM !== undefined && TERM !== '' && TERM !== 'dumb';
}

/**
 * Whether this process may change the terminal: a background process that tries is stopped by the kernel. True where
 * the kernel does not tell.
 */
export function isInForeground(stat: string = ownStat()): boolean {
  // proc(5): behind the name in parentheses are state, ppid, pgrp, session, tty_nr, tpgid.
  const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return group === undefined || foreground === undefined || group === foreground;
}

function ownStat(): string {
  try {
    return readFileSync('/proc/self/stat', 'utf8');
  } catch {
    return '';
  }
}

/**
 * Switches the echo of the terminal at standard input off. What is typed stays in the queue of the terminal, for the
 * shell that reads it afterwards, and does not get between the lines of a picture; Control-C works as ever. The
 * function that comes back switches it on again, and the end of the process does. Without a terminal nothing happens.
 */
export function silenceEcho(): () => void {
  if (process.stdin.isTTY !== true || !setEcho(false)) return () => {};
  let silent = true;
  const restore = (): void => {
    if (!silent) return;
    silent = false;
    process.off('exit', restore);
    setEcho(true);
  };
  process.on('exit', restore);
  return restore;
}

function setEcho(on: boolean): boolean {
  if (!isInForeground()) return false;
  const stdio: ['inherit', 'ignore', 'ignore'] = ['inherit', 'ignore', 'ignore'];
  return spawnSync('stty', [on ? 'echo' : '-echo'], { stdio }).status === 0;
}
