// Roots and Targets expire: which commands say so, what stops, and the commands of docs/operations/expiry.md repair it.

import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect } from 'vitest';
import { DocsPage, FAKETIME, shifted } from './support/docs-page.ts';
import { folder, run, scenario, start } from './support/processes.ts';
import { image, outcomeOf, TestFactory } from './support/vehicle.ts';

/** Debian's package faketime shifts the date of a process. */
describe.skipIf(!existsSync(FAKETIME))('what runs out', () => {
  scenario('is said before and after, and renewed by the commands of the page', async () => {
    const factory = await TestFactory.open(['CGW', 'EDT']);
    const today = await factory.backend();
    await today.release(await image('EDT', 20_000));
    const token = await today.tokenFile();
    today.process.kill();
    await today.process.exited;
    const page = await DocsPage.open('operations/expiry');
    await page.use('ceremony', path.join(today.home, 'keys'));
    await page.use('release.token', token);
    const serve = async (shift: string) => {
      const args = ['server', '--json', '--data', today.data, '--devices', 'required'];
      const server = start([...args, '--trust', path.join(today.home, 'trust'), '--port', '0'], {
        supervised: true,
        env: shifted(shift),
      });
      const { url } = (await server.ready) as { url: string };
      return { server, url, shift };
    };

    await page.use('data', today.data);
    const ci = [
      'server',
      'token',
      'ci',
      '--role',
      'release',
      '--days',
      '364',
      '--data',
      today.data,
    ];
    expect(await (await run(ci)).code()).toBe(0);
    const before = await serve('+360d');
    await before.server.error(/director Root 1 expires in 4 days/);
    await before.server.error(/the release token ci expires in 3 days .*server token ci --remove/);
    const look = await page.does('Look', before);
    expect(look).toMatch(/"status":"expiring"/);
    expect(look).toMatch(/^can_ota_metadata_days_left\{repository="images",role="root"\} 4$/m);
    expect(look).toMatch(/images Targets \d+: EXPIRES SOON, 4 days left/);
    before.server.kill();
    await before.server.exited;

    const after = await serve('+370d');
    await after.server.error(/director Root 1 expired 5 days ago .*vehicles refuse every update/);
    expect(await page.does('Look', after)).toMatch(/EXPIRED \d days ago/);
    const unhealthy = await page.section('Check', after);
    expect(unhealthy.exit?.code).toBe(1);
    const vehicle = await factory.vehicle();
    const state = await factory.state();
    const cycle = async () => {
      const args = ['tmu', '--once', '--json', '--server', after.url, '--state-dir', state];
      return outcomeOf(await run([...args, ...vehicle.shared], { env: shifted(after.shift) }));
    };
    expect(await cycle()).toMatchObject({ outcome: 'SECURITY_VALIDATION_FAILED', code: 'FREEZE' });
    await page.does('Renew', after);
    await page.does('Check', after);
    expect(await cycle()).toMatchObject({ outcome: 'SUCCESS' });
    const listed = await page.does('Tokens of tools', after);
    expect(listed).toMatch(/^ci\trelease\t.*\(EXPIRED 6 days ago\)/m);
    await page.does('The clock', after);
    page.expectAllTried();
  });

  scenario('a clock before the build date is refused in a sentence', async () => {
    const place = await folder();
    const env = shifted('-4000d');
    for (const args of [
      ['keys', 'init', '--dir', path.join(place, 'keys')],
      ['keys', 'list', '--dir', path.join(place, 'keys')],
      ['release', 'list', '--keys', path.join(place, 'keys')],
      ['server', '--port', '0', '--data', path.join(place, 'data')],
    ]) {
      const refused = await run(args, { env });
      expect(await refused.code()).toBe(2);
      expect(refused.stderr).toMatch(/clock: this machine says 20.*the clock is wrong. Set it/);
    }
    expect(existsSync(path.join(place, 'keys'))).toBe(false);
    expect(existsSync(path.join(place, 'data'))).toBe(false);
  });
});
