// Which programs of others this machine has, and the reason for each test that is left out.

import { spawnSync } from 'node:child_process';

/** Debian's module belongs to Debian's Python, which may not be the first on the path. */
const PYTHONS = ['/usr/bin/python3', 'python3'];

function works(program: string, ...args: readonly string[]): boolean {
  return spawnSync(program, args, { timeout: 60_000, stdio: 'ignore' }).status === 0;
}

const SCAPY =
  'from scapy.all import load_contrib; load_contrib("isotp"); load_contrib("automotive.uds")';

/** The Python that has scapy with ISO-TP and UDS; undefined: none. */
export const scapyPython = PYTHONS.find((python) => works(python, '-c', SCAPY));
export const hasTshark = works('tshark', '--version');
export const hasSrecord = works('srec_cat', '-version');

/** Name of a group of tests, with the reason where it is left out. */
export function named(name: string, available: boolean, missing: string): string {
  return available ? name : `${name} (left out: ${missing})`;
}
