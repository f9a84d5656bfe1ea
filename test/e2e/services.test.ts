// Configuration, commands, telemetry and small devices with real processes, called as operators and owners call them.

import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { DocsPage } from './support/docs-page.ts';
import {
  folder,
  freshBus,
  type Json,
  type Run,
  run,
  scenario,
  start,
} from './support/processes.ts';
import { image } from './support/vehicle.ts';

const VIN = '1CANXTABENCH00001';

/** A server with a token in a file. */
async function serverWith(
  data: string,
  roles: readonly string[],
  args: readonly string[] = [],
): Promise<{ server: Run; url: string; token: (role: string) => string }> {
  const token = (role: string): string => path.join(data, `${role}.token`);
  for (const role of roles) {
    const name = `e2e-${role}`;
    const made = await run([
      ...['server', 'token', name, '--role', role, '--data', data, '--out', token(role)],
    ]);
    expect(await made.code(), made.stderr).toBe(0);
  }
  const server = start(['server', '--port', '0', '--data', data, '--json', ...args], {
    supervised: true,
  });
  const { url } = await server.ready;
  return { server, url: String(url), token };
}

describe('services', () => {
  scenario(
    'an operator configures and commands a vehicle, loses its backend, and a device is updated',
    async () => {
      const data = await folder();
      const page = await DocsPage.open('remote-features');
      const more = `--bus '${freshBus('bitrate=500000')}' --data '${data}'`;
      const bench = await page.section('On your desk', {
        replace: { 'npm run bench --': `can-ota bench ${more}` },
      });
      expect(await bench.code(), `${bench}`).toBe(0);
      const { last } = bench;
      expect(last).toMatchObject({ outcome: 'SUCCESS', mismatches: [] });
      const config = last.config as { accepted: string[]; rejected: Json[] };
      expect(config.accepted).toEqual(['pollInterval', 'limits']);
      expect(config.rejected).toEqual(
        [
          ['uploadInterval', 'OUT_OF_RANGE'],
          ['dids', 'UNKNOWN_ECU'],
          ['approval', 'NOT_ALLOWED'],
          ['volume', 'UNKNOWN_PARAMETER'],
        ].map(([parameter, code]) => ({ parameter, code, reason: expect.stringContaining(' ') })),
      );
      const commands = last.commands as { id: string; state: string; runs: number }[];
      expect(commands.map(({ state, runs }) => [state, runs])).toEqual([
        ['completed', 1],
        ['completed', 1],
        ['failed', 0],
        ['expired', 0],
        ['failed', 0],
      ]);
      expect(last.telemetry).toMatchObject({ lost: 0, duplicates: 0 });
      expect(last.device).toMatchObject({ from: '1.0.0', to: '2.0.0', resumed: true });
      const { peakBytes, sha256 } = last.device as { peakBytes: number; sha256: string };
      expect(peakBytes).toBeGreaterThan(1024);
      expect(peakBytes).toBeLessThanOrEqual(16 * 1024);
      expect(sha256).toMatch(/^[0-9a-f]{64}$/);

      // The journal of the vehicle has the same commands, by id.
      const journal = await run([
        ...['history', '--commands', '--json', '--state-dir', path.join(data, 'tmu')],
      ]);
      expect(await journal.code(), journal.stderr).toBe(0);
      const onVehicle = new Map(
        journal.events.flatMap((event) =>
          typeof event.id === 'string' ? [[event.id, event]] : [],
        ),
      );
      for (const { id, state } of commands.filter((command) => command.state !== 'expired')) {
        expect([id, onVehicle.get(id)?.state]).toEqual([id, state]);
      }

      // The operator's command line shows the same afterwards.
      const { url, token } = await serverWith(path.join(data, 'server'), ['operator']);
      const operator = ['--server', url, '--token-file', token('operator'), '--json'];
      const shown = await run(['config', 'show', VIN, ...operator]);
      expect(await shown.code(), shown.stderr).toBe(0);
      expect(shown.last).toMatchObject({ vin: VIN, pending: false });
      // Merged into the wanted configuration; one value is invalid for every vehicle.
      const merged = await run(['config', 'set', VIN, 'pollInterval=7', ...operator]);
      expect(await merged.code()).toBe(8);
      expect(`${merged.lines}${merged.stderr}`).toContain('volume');
      const set = await run(['config', 'set', VIN, 'pollInterval=8', '--replace', ...operator]);
      expect(await set.code(), set.stderr).toBe(0);
      const again = await run(['config', 'show', VIN, ...operator]);
      expect(again.last).toMatchObject({ pending: true });
      const listed = await run(['command', 'list', VIN, ...operator]);
      expect(listed.lines.join('\n')).toContain(commands[0]!.id);
      const beyond = await run([
        'command',
        'send',
        VIN,
        'INV',
        'setPowerLimit',
        'power=999',
        ...operator,
      ]);
      expect(await beyond.code()).toBe(2);
      expect(beyond.stderr).toContain('power: expected a number from 0 to 150 kW');
      const sent = await run([
        ...['command', 'send', VIN, 'INV', 'setPowerLimit', 'power=20', '--wait', '1', ...operator],
      ]);
      expect(await sent.code(), `${sent}`).toBe(4); // no vehicle takes the command
      const measured = await run(['telemetry', 'show', VIN, '--did', 'INV.FD40', ...operator]);
      expect(await measured.code(), measured.stderr).toBe(0);
      expect(measured.lines.join('\n')).toContain('INV.FD40');
    },
  );

  scenario('a whole vehicle takes its images in chunks', async () => {
    const edt = await image('EDT', 20_000, '3.0.0');
    const bench = await run([
      ...['bench', '--approve', 'yes', '--json', '--transport', 'chunked'],
      ...['--bus', freshBus(), '--image', `EDT=${edt.file}@3.0.0`],
    ]);
    expect(await bench.code(), `${bench}`).toBe(0);
    expect(bench.last).toMatchObject({ outcome: 'SUCCESS', ecus: [{ sha256: edt.sha256 }] });
  });

  scenario(
    'a device ends every fault of its server as it is told, and is updated in the end',
    async () => {
      const work = await folder();
      const file = (name: string): string => path.join(work, name);
      await writeFile(file('new.bin'), Buffer.alloc(40_000, 'new software '));
      const key = await run(['keys', 'device-key', '--profile', 'rsa', '--out', file('rsa.pem')]);
      expect(await key.code(), key.stderr).toBe(0);
      const data = file('server');
      const first = await serverWith(data, ['factory', 'release']);
      const state = ['--state-dir', file('device')];
      const enrolled = await run([
        ...[
          'device',
          'enroll',
          '--model',
          'PUMP-1',
          '--release-key',
          file('rsa.pem.pub'),
          ...state,
        ],
        ...['--server', first.url, '--token-file', first.token('factory')],
      ]);
      expect(await enrolled.code(), enrolled.stderr).toBe(0);
      const released = await run([
        ...['release', 'device', file('new.bin'), '--model', 'PUMP-1', '--version', '2.0.0'],
        ...['--counter', '2', '--profile', 'rsa', '--key', file('rsa.pem')],
        ...['--server', first.url, '--token-file', first.token('release')],
      ]);
      expect(await released.code(), released.stderr).toBe(0);
      first.server.kill();
      await first.server.exited;

      const looks = async (faults: readonly string[]): Promise<Run> => {
        const args = faults.flatMap((fault) => ['--fault', fault]);
        const { server, url } = await serverWith(
          data,
          [],
          [...(faults.length === 0 ? [] : ['--bench']), ...args],
        );
        const look = await run(['device', 'run', '--once', '--json', '--server', url, ...state]);
        server.kill();
        await server.exited;
        return look;
      };
      const refused = await looks(['bad-signature']);
      expect([await refused.code(), refused.last]).toMatchObject([
        7,
        { outcome: 'failed', code: 'SIGNATURE' },
      ]);
      const wrong = await looks(['bad-hash']);
      expect([await wrong.code(), wrong.last]).toMatchObject([
        6,
        { outcome: 'failed', code: 'DIGEST_MISMATCH' },
      ]);
      const updated = await looks([
        'corrupt-chunk=0.05',
        'truncate=0.1',
        'replay=0.1',
        'wrong-order=0.5',
      ]);
      expect([await updated.code(), updated.last]).toMatchObject([
        0,
        { outcome: 'success', version: '2.0.0' },
      ]);
      const banks = await Promise.all(
        ['bank-a.bin', 'bank-b.bin'].map((bank) => readFile(file(`device/${bank}`))),
      );
      const image = await readFile(file('new.bin'));
      expect(banks.some((bank) => bank.subarray(0, image.length).equals(image))).toBe(true);
      const back = await run(['device', 'status', '--json', ...state]);
      expect(back.last).toMatchObject({ version: '2.0.0', trial: false });
    },
  );

  scenario('faults of a server are for a bench alone', async () => {
    const data = await folder();
    const server = await run(['server', '--port', '0', '--data', data, '--fault', 'replay']);
    expect(await server.code()).toBe(2);
    expect(server.stderr).toContain('--bench');
    const unknown = await run(['server', '--bench', '--data', data, '--fault', 'meteor']);
    expect(await unknown.code()).toBe(2);
    expect(unknown.stderr).toContain('corrupt-chunk');
  });
});
