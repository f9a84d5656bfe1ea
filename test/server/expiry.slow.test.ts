// What runs out is said in time: in the log, by /healthz, by /metrics and on the pages, before and after.

import { describe, expect, it } from 'vitest';
import type { Uptane } from '../../server/features/director/uptane.ts';
import { ExpiryWatch } from '../../server/features/operations/expiry-watch.ts';
import { addToken } from '../../server/features/registry/tool-commands.ts';
import type { ServiceToken } from '../../server/platform/auth/identity.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { buildRoot, signRole } from '../../src/trust/role-signing.ts';
import { generateSigner } from '../../src/trust/signing-key.ts';
import { startBackend } from './support.ts';
import { bearer, DAY_MS, startSigned, TestVehicle } from './trust-support.ts';

const IMAGE = Buffer.from('image');

interface Told {
  readonly status: string;
  readonly metadata: {
    repository: string;
    role: string;
    expires: string;
    daysLeft: number;
    stage: string;
  }[];
  readonly notices: string[];
}

describe('/healthz, /metrics and the pages', () => {
  it('say nothing while all is well', async () => {
    const backend = await startSigned();
    await backend.publish(IMAGE);
    const told: Told = (await backend.request('/healthz')).json;
    expect(told).toMatchObject({ status: 'ok', notices: [] });
    const names = told.metadata.map(({ repository, role }) => `${repository} ${role}`).sort();
    expect(names).toEqual([
      'director root',
      'images root',
      'images snapshot',
      'images targets',
      'images timestamp',
    ]);
    const anna = await backend.login();
    const page = await anna.request('/', { headers: { accept: 'text/html' } });
    expect(page.text).not.toContain('role="alert">images');
    const plain = await startBackend();
    expect((await plain.request('/healthz')).json).toMatchObject({ status: 'ok', metadata: [] });
  });

  it.each([
    [29, 'expiring', 'month', /images Targets 1 expires in 29 days .*can-ota keys refresh/],
    [6, 'expiring', 'week', /images Targets 1 expires in 6 days/],
    [0.5, 'expiring', 'day', /images Targets 1 expires within a day/],
    [
      -1.5,
      'expired',
      'expired',
      /images Targets 1 expired 1 day ago .*vehicles refuse every update/,
    ],
  ])('with %d days left', async (days, status, stage, notice) => {
    const backend = await startSigned();
    await backend.publish(IMAGE);
    const first: Told = (await backend.request('/healthz')).json;
    const { expires } = first.metadata.find(({ role }) => role === 'targets')!;
    backend.clock.skip(Date.parse(expires) - backend.clock.wallMs() - days * DAY_MS);
    const told: Told = (await backend.request('/healthz')).json;
    expect(told.status).toBe(status);
    expect(told.metadata.find(({ role }) => role === 'targets')).toMatchObject({ stage });
    expect(told.notices.join('\n')).toMatch(notice);
    // The server renews these by itself, also when no vehicle asks for months.
    for (const role of ['snapshot', 'timestamp']) {
      expect(told.metadata.find((file) => file.role === role)).toMatchObject({ stage: 'valid' });
    }
    const metrics = await backend.request('/metrics');
    expect(metrics.headers['content-type']).toContain('text/plain; version=0.0.4');
    const left = /^can_ota_metadata_days_left\{repository="images",role="targets"\} (-?\d+)$/m;
    expect(Number(left.exec(metrics.text)?.[1])).toBe(
      told.metadata.find(({ role }) => role === 'targets')!.daysLeft,
    );
    const anna = await backend.login();
    const page = await anna.request('/vehicles', { headers: { accept: 'text/html' } });
    expect(page.text).toMatch(/<p class="note bad" role="alert">/);
    expect(page.text.replaceAll('&#39;', "'")).toMatch(notice);
  });

  it('are right again when new Targets were uploaded, without a restart', async () => {
    const backend = await startSigned();
    await backend.publish(IMAGE);
    const first: Told = (await backend.request('/healthz')).json;
    const targets = (told: Told) => told.metadata.find(({ role }) => role === 'targets')!;
    backend.clock.skip((targets(first).daysLeft + 2) * DAY_MS);
    expect(targets((await backend.request('/healthz')).json).stage).toBe('expired');
    const later = backend.clock.wallMs() + 400 * DAY_MS;
    const renewed = await backend.ceremony.signTargets(undefined, later);
    expect((await backend.putMetadata('targets', renewed)).status).toBe(201);
    expect(targets((await backend.request('/healthz')).json).stage).toBe('valid');
  });
});

describe('vehicles that are silent', () => {
  it('are counted, and change no status', async () => {
    const backend = await startSigned();
    await backend.publish(IMAGE);
    const vehicle = await TestVehicle.provisioned(backend);
    const counts = async () => {
      const told = (await backend.request('/healthz')).json;
      expect(told.status).toBe('ok');
      return told.vehicles;
    };
    expect(await counts()).toEqual({ known: 0, day: 0, week: 0, month: 0 });
    expect((await vehicle.checkin()).status).toBe(200);
    backend.clock.skip(DAY_MS / 2);
    expect(await counts()).toEqual({ known: 1, day: 0, week: 0, month: 0 });
    backend.clock.skip(8 * DAY_MS);
    expect(await counts()).toEqual({ known: 1, day: 1, week: 1, month: 0 });
    const metrics = await backend.request('/metrics');
    expect(metrics.text).toMatch(/^can_ota_vehicles_silent\{for="week"\} 1$/m);
    expect(metrics.text).toMatch(/^can_ota_vehicles 1$/m);
  });
});

describe('tokens of tools', () => {
  it.each([
    [31, 'ok', undefined, undefined],
    [29, 'expiring', 'month', /release token ci expires in 29 days/],
    [6.5, 'expiring', 'week', /release token ci expires in 6 days/],
    [0.5, 'expiring', 'day', /release token ci expires within a day/],
    [-2.5, 'expired', 'expired', /release token ci expired 2 days ago .*its tool is refused/],
  ])('with %d days left: %s', async (days, status, stage, notice) => {
    const backend = await startBackend();
    const { clock, dataDir } = backend;
    const add = (name: string, lifeDays: number) =>
      addToken(dataDir, name, 'release', { clock, lifeDays });
    const ci = await add('ci', 400);
    await add('forgotten', 400);
    const use = () => backend.request('/ota/packages', { headers: bearer(ci) });
    clock.skip((400 - 40) * DAY_MS);
    expect((await use()).status).toBe(200);
    clock.skip((40 - days) * DAY_MS);
    const told = (await backend.request('/healthz')).json;
    expect([told.status, told.tokens.map((token: { stage: string }) => token.stage)]).toEqual([
      status,
      stage === undefined ? [] : [stage],
    ]);
    const anna = await backend.login();
    const page = await anna.request('/', { headers: { accept: 'text/html' } });
    const metrics = await backend.request('/metrics');
    const named = await anna.request('/metrics');
    // Names of tokens are for operators.
    expect(`${JSON.stringify(told)}${metrics.text}`).not.toMatch(/\bci\b|forgotten/);
    expect(named.text).toMatch(
      new RegExp(
        `^can_ota_token_days_left\\{token="ci",role="release"\\} ${Math.floor(days)}$`,
        'm',
      ),
    );
    expect(metrics.text).toMatch(
      new RegExp(`^can_ota_tokens\\{stage="${stage ?? 'valid'}"\\} 1$`, 'm'),
    );
    // Nobody misses the other one: it is in the list and in the log.
    expect(page.text).not.toContain('forgotten');
    expect((await use()).status).toBe(days > 0 ? 200 : 401);
    if (notice === undefined) return;
    expect(page.text).toMatch(notice);
    expect(told.notices.join()).toMatch(/^a token of the role release expire/);
  });
});

describe('the log', () => {
  async function watched(days: number, tokens: readonly ServiceToken[] = []) {
    const clock = new VirtualClock();
    const lines: string[] = [];
    const note =
      (level: string) =>
      (_fields: Record<string, unknown>, message: string): void => {
        lines.push(`${level}: ${message}`);
      };
    const logger = {
      ...silentLogger,
      info: note('info'),
      warn: note('warn'),
      error: note('error'),
    };
    const { signer } = generateSigner();
    const keys = { keys: [signer.publicKey], threshold: 1 };
    const root = async (left: number) =>
      signRole(
        buildRoot({
          version: 1,
          expiresMs: clock.wallMs() + left * DAY_MS,
          roles: { root: keys, targets: keys, snapshot: keys, timestamp: keys },
        }),
        [signer],
      );
    let bytes = await root(days);
    const uptane = {
      watchedFiles: async () => [['director', { role: 'root', bytes }] as const],
    } as unknown as Uptane;
    const watch = new ExpiryWatch({
      uptane,
      tokens: { list: async () => [...tokens] },
      clock,
      logger,
    });
    return {
      clock,
      lines,
      watch,
      renew: async (left: number) => {
        bytes = await root(left);
      },
    };
  }

  it('says each step once, what is urgent once a day, and that it is over', async () => {
    const { clock, lines, watch, renew } = await watched(31);
    watch.start();
    await clock.advance(DAY_MS / 2);
    expect(lines).toEqual([]);
    await clock.advance(DAY_MS);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(
      /^warn: director Root 1 expires in 30 days .*vehicles then refuse every update. The online keys \(targets, snapshot, timestamp, time\) end with it/,
    );
    await clock.advance(23 * DAY_MS);
    expect(lines).toHaveLength(2);
    expect(lines[1]).toMatch(/^warn: director Root 1 expires in 7 days/);
    await clock.advance(6 * DAY_MS);
    expect(lines.at(-1)).toMatch(/^error: director Root 1 expires within a day/);
    lines.length = 0;
    await clock.advance(2.5 * DAY_MS);
    expect(lines.map((line) => line.replace(/ \(.*/, ''))).toEqual([
      'error: director Root 1 expired today',
      'error: director Root 1 expired 1 day ago',
      'error: director Root 1 expired 2 days ago',
    ]);
    await renew(300);
    await clock.advance(DAY_MS);
    expect(lines.at(-1)).toBe('info: director root is renewed');
    watch.stop();
    lines.length = 0;
    await renew(1);
    await clock.advance(10 * DAY_MS);
    expect(lines).toEqual([]);
  });

  it('names a token at each step once, and one that is not in use no louder', async () => {
    const wallMs = new VirtualClock().wallMs();
    const at = (days: number): string => new Date(wallMs + days * DAY_MS).toISOString();
    const token = (name: string, usedAt: string | undefined, expiresAt?: string) =>
      ({ name, role: 'release', createdAt: at(-600), expiresAt, usedAt }) as const;
    const tokens: ServiceToken[] = [
      token('line1', at(-1), at(31)),
      token('old', at(-200), at(31)),
      token('forever', at(-1)),
    ];
    const { clock, lines, watch } = await watched(3000, tokens);
    watch.start();
    await clock.advance(DAY_MS / 2);
    expect(lines).toEqual([]);
    await clock.advance(DAY_MS);
    expect(lines).toEqual([
      expect.stringMatching(
        /^warn: the release token line1 expires in 30 days \(.*Z\): its tool is then refused \(TOKEN_EXPIRED\)\. Make the next one: can-ota server token line1 --remove, then can-ota server token line1 --role release$/,
      ),
      expect.stringMatching(/^warn: the release token old expires in 30 days .*not in use \(/),
    ]);
    await clock.advance(100 * DAY_MS);
    const levels = (name: string) =>
      lines
        .filter((line) => line.includes(`token ${name} `))
        .map((line) =>
          /^(\w+):.* (expire(?:s in 7 days|s in 30 days|s within a day|d today))/
            .exec(line)
            ?.slice(1),
        );
    expect(levels('line1')).toEqual([
      ['warn', 'expires in 30 days'],
      ['warn', 'expires in 7 days'],
      ['error', 'expires within a day'],
      ['error', 'expired today'],
    ]);
    expect(levels('old').map((line) => line?.[0])).toEqual(['warn', 'warn', 'warn', 'warn']);
    expect(lines).toHaveLength(8);
    // It was replaced under its name, and the next one runs out in its turn.
    tokens[0] = token('line1', undefined, new Date(clock.wallMs() + 100 * DAY_MS).toISOString());
    await clock.advance(DAY_MS);
    expect(lines).toHaveLength(8);
    await clock.advance(70 * DAY_MS);
    expect(lines).toHaveLength(9);
    watch.stop();
  });
});
