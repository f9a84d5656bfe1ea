// A captive portal or a proxy answers the tools: real processes end with exit code 11 and a clear message.

import { writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { describe, expect, onTestFinished } from 'vitest';
import { folder, run, scenario } from './support/processes.ts';

const PAGE = '<!doctype html><title>Welcome to the hotel</title>';
/** Foreign answers that are tried one after the other, for every request. */
const ANSWERS: readonly [number, http.OutgoingHttpHeaders, string][] = [
  [200, { 'content-type': 'text/html' }, PAGE],
  [302, { location: 'http://portal.hotel/login' }, ''],
  [200, {}, ''],
  [403, { 'content-type': 'text/html' }, '<h1>Blocked</h1>'],
  [200, { 'content-type': 'application/json' }, '{"hello":"world"}'],
  [404, { 'content-type': 'application/json' }, '{"code":"NOT_FOUND"}'],
];

describe('the tools', () => {
  scenario('behind a captive portal say whose answer it is, and end with 11', async () => {
    let asked = 0;
    const portal = http.createServer((request, response) => {
      const [status, headers, body] = ANSWERS[asked++ % ANSWERS.length]!;
      request.resume();
      request.on('end', () => response.writeHead(status, headers).end(body));
    });
    await new Promise<void>((resolve) => portal.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      portal.closeAllConnections();
      portal.close();
    });
    const url = `http://127.0.0.1:${(portal.address() as AddressInfo).port}`;
    const place = await folder();
    const at = (name: string): string => path.join(place, name);
    const init = await run(['keys', 'init', '--dir', at('keys')]);
    expect(await init.code()).toBe(0);
    expect(await (await run(['keys', 'device-key', '--out', at('device.pem')])).code()).toBe(0);
    await writeFile(at('token'), `cot-${'x'.repeat(43)}\n`, { mode: 0o600 });
    await writeFile(at('image.bin'), 'image');
    const vin = '1CANXTABENCH00001';
    const who = ['--server', url, '--token-file', at('token')];
    const keys = ['--keys', at('keys')];
    const commands: readonly (readonly string[])[] = [
      [
        ...['release', 'add', at('image.bin'), '--ecu', 'EDT', '--version', '2.0.0'],
        ...['--hardware', 'EDT-HW-1', ...keys, ...who],
      ],
      ['release', 'push', ...keys, ...who],
      ['release', 'pull', ...keys, '--server', url],
      ['keys', 'pull', '--dir', at('keys'), '--server', url],
      ['keys', 'refresh', '--dir', at('keys'), '--server', url],
      [
        ...['release', 'device', at('image.bin'), '--model', 'PUMP-1', '--version', '1.0.0'],
        ...['--counter', '1', '--key', at('device.pem'), ...who],
      ],
      ['release', 'withdraw-device', 'PUMP-1', '1.0.0', '--reason', 'a fault', ...who],
      ['campaign', 'cancel', vin, '--reason', 'a fault', ...who],
      ['campaign', 'ask-again', vin, '--reason', 'a fault', ...who],
      ['config', 'show', vin, ...who],
      ['command', 'list', vin, ...who],
      ['telemetry', 'show', vin, ...who],
      [
        ...['device', 'enroll', '--state-dir', at('pump'), '--model', 'PUMP-1'],
        ...['--release-key', at('device.pem.pub'), ...who],
      ],
    ];
    for (const command of commands) {
      const before = asked;
      const done = await run(command);
      const name = command.slice(0, 2).join(' ');
      expect([name, done.exit?.code], String(done)).toEqual([name, 11]);
      expect(asked).toBeGreaterThan(before);
      expect(done.stderr).toMatch(/is not from a can-ota backend: /);
      expect(done.stderr).not.toMatch(/^\s+at |please report/m);
    }
  });
});
