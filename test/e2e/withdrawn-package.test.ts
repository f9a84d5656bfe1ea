// A package of small devices is withdrawn: docs/operations/withdrawn-package.md with a real server and real devices.

import { cp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { DocsPage } from './support/docs-page.ts';
import { type Run, run, scenario, start } from './support/processes.ts';

async function succeeds(args: readonly string[]): Promise<Run> {
  const done = await run(args);
  expect(done.exit?.code, String(done)).toBe(0);
  return done;
}

describe('a withdrawn package', () => {
  scenario('is offered no more, and devices go on with what they run', async () => {
    const page = await DocsPage.open('operations/withdrawn-package');
    const at = (name: string): string => path.join(page.place, name);
    for (const role of ['factory', 'release']) {
      const out = at(`${role}.token`);
      await succeeds(['server', 'token', role, '--role', role, '--data', at('data'), '--out', out]);
    }
    await succeeds(['keys', 'device-key', '--out', at('release.pem')]);
    const serve = () =>
      start(['server', '--port', '0', '--data', at('data'), '--json'], { supervised: true });
    let server = serve();
    let { url } = (await server.ready) as { url: string };
    const enrol = (name: string) =>
      succeeds([
        ...['device', 'enroll', '--state-dir', at(name), '--model', 'PUMP-1'],
        ...['--release-key', at('release.pem.pub')],
        ...['--server', url, '--token-file', at('factory.token')],
      ]);
    const look = async (name: string): Promise<[number | null, Record<string, unknown>]> => {
      const done = await run([
        ...['device', 'run', '--once', '--json', '--server', url, '--state-dir', at(name)],
      ]);
      return [done.exit!.code, done.last];
    };
    await enrol('runs');
    await enrol('fresh');
    await writeFile(at('pump.bin'), 'the image with the fault'.repeat(200));
    const release = (version: string) =>
      run([
        ...['release', 'device', at('pump.bin'), '--model', 'PUMP-1', '--version', version],
        ...['--counter', '2', '--key', at('release.pem'), '--json'],
        ...['--server', url, '--token-file', at('release.token')],
      ]);
    expect((await release('1.1.0')).exit?.code).toBe(0);
    expect(await look('runs')).toMatchObject([0, { outcome: 'success', version: '1.1.0' }]);
    server.kill('SIGTERM');
    await server.exited;
    await cp(at('data'), at('backup'), { recursive: true });
    server = serve();
    ({ url } = (await server.ready) as { url: string });

    const withdrawal = 'Withdraw the package';
    const said = await page.does(withdrawal, { url });
    expect(said).toMatch(/PUMP-1 1\.1\.0 is withdrawn; 0 downloads of it were stopped/);
    expect(said).toMatch(/No package is offered to PUMP-1 now/);
    expect(await page.does(withdrawal, { url })).toMatch(/was withdrawn already, by release at/);
    expect(await look('fresh')).toMatchObject([5, { outcome: 'up-to-date' }]);
    expect(await look('runs')).toMatchObject([5, { outcome: 'up-to-date', version: '1.1.0' }]);
    const again = await release('1.1.0');
    expect([again.exit?.code, String(again)]).toEqual([
      2,
      expect.stringMatching(/was withdrawn by release at .*release the image under a new version/),
    ]);

    // The backup does not contain the withdrawal.
    server.kill('SIGTERM');
    await server.exited;
    await rm(at('data'), { recursive: true });
    await cp(at('backup'), at('data'), { recursive: true });
    server = serve();
    ({ url } = (await server.ready) as { url: string });
    const restored = await page.does('After a restore from a backup', { url });
    expect(restored).toMatch(/withdrawn since the backup are offered again.*\(1 are offered\)/);
    expect(restored).toMatch(/PUMP-1 1\.1\.0 is withdrawn/);
    expect(await look('fresh')).toMatchObject([5, { outcome: 'up-to-date' }]);

    await writeFile(at('pump.bin'), 'the image without it'.repeat(200));
    await page.does('Release the next version', { url });
    expect(await look('fresh')).toMatchObject([0, { outcome: 'success', version: '1.1.1' }]);
    expect(await look('runs')).toMatchObject([0, { outcome: 'success', version: '1.1.1' }]);
    page.expectAllTried();
  });
});
