// The registry: two processes on one folder.

import { spawn } from 'node:child_process';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { listDevices } from '../../server/features/registry/tool-commands.ts';
import { temporaryFolder } from './support.ts';

describe('POST /provision', () => {
  it('leaves no gap between two processes on one folder', async () => {
    const dir = await temporaryFolder();
    await listDevices(dir);
    const script = path.join(import.meta.dirname, 'registry-child.ts');
    const ended = await Promise.all(
      [0, 1].map(
        () =>
          new Promise((resolve) => {
            spawn(process.execPath, [script, dir, '25'], { stdio: 'inherit' }).once(
              'exit',
              resolve,
            );
          }),
      ),
    );
    expect(ended).toEqual([0, 0]);
    const serials = (await listDevices(dir)).map(({ serial }) => Number(serial.slice(3)));
    expect(serials.sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
  });
});
