// What the guards leave behind: metrics for operators, a disk that strangers cannot fill, tokens that end.

import { describe, expect, it } from 'vitest';
import { CampaignStore } from '../../server/features/campaigns/store.ts';
import { addToken, listTokens } from '../../server/features/registry/tool-commands.ts';
import { ReportStore } from '../../server/features/vehicles/report-store.ts';
import { openDatabase } from '../../server/platform/db/database.ts';
import { systemRandom } from '../../src/core/random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { InjectedBackend } from './injected-support.ts';
import { json, startBackend, temporaryFolder } from './support.ts';
import { bearer } from './trust-support.ts';

const DAY_MS = 86_400_000;

describe('GET /metrics', () => {
  it('counts what was refused, and names whom to operators only', async () => {
    const backend = await InjectedBackend.start({
      rateLimits: { identity: { burst: 8, perSecond: 1 } },
    });
    const vehicle = await backend.vehicle();
    const { serial } = vehicle.primary;
    await backend.clock.advance(10_000);
    for (let index = 0; index < 11; index++) await vehicle.get('/latest_version');
    const open = await backend.request('/metrics');
    expect([open.status, open.headers['content-type']]).toEqual([
      200,
      'text/plain; version=0.0.4; charset=utf-8',
    ]);
    expect(open.text).toContain('# TYPE can_ota_guard_refused_total counter\n');
    expect(open.text).toContain('can_ota_guard_refused_total{guard="identity"} 3\n');
    expect(open.text).toContain('can_ota_guard_wait_seconds_total{guard="identity"} 3\n');
    expect(open.text).toContain('can_ota_guard_waiting{guard="identity"} 1\n');
    expect(open.text).toContain('can_ota_guard_refused_total{guard="login"} 0\n');
    expect(open.text).not.toContain(serial);
    const operator = await backend.request('/metrics', { headers: bearer(backend.operator) });
    const labels = `{guard="identity",caller="${serial}"}`;
    expect(operator.text).toContain(`can_ota_guard_caller_refused_total${labels} 3\n`);
    expect(operator.text).toContain(`can_ota_guard_caller_wait_seconds${labels} 1\n`);
    expect((await backend.request('/metrics', { headers: bearer(backend.factory) })).status).toBe(
      403,
    );
    await backend.clock.advance(2000);
    const later = await backend.request('/metrics');
    expect(later.text).toContain('can_ota_guard_waiting{guard="identity"} 0\n');
  });
});

describe('reports of strangers', () => {
  const report = (vin: string, fill: number) => ({
    vin,
    outcome: 'SUCCESS',
    code: undefined,
    campaign: undefined,
    reason: 'x'.repeat(fill),
    warnings: [],
    ecus: [],
  });

  it('fill no more than their share, and push out neither vehicles nor other strangers', async () => {
    const clock = new VirtualClock();
    const db = await openDatabase(await temporaryFolder(), { clock, random: systemRandom });
    const keep = { vehicles: 1_000_000, strangers: 160_000 };
    const reports = new ReportStore(db, new CampaignStore(db), keep);
    await reports.add(report('VEHICLE', 100), '10.0.0.1');
    await reports.add(report('QUIET', 100), '10.0.0.2', '10.0.0.2');
    for (let index = 0; index < 500; index++) {
      await reports.add(report(`FLOOD${index}`, 1500), '10.0.0.3', '10.0.0.3');
    }
    const rows = await db.query.selectFrom('reports').select(['vin', 'bytes']).execute();
    const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
    expect(bytes).toBeLessThan(keep.strangers * 1.1);
    expect(bytes).toBeGreaterThan(keep.strangers / 2);
    const vins = rows.map(({ vin }) => vin);
    expect(vins).toEqual(expect.arrayContaining(['VEHICLE', 'QUIET', 'FLOOD499']));
    await db.close();
  });

  it('come at a rate that ends', async () => {
    const backend = await startBackend({ rateLimits: { stranger: { burst: 3, perSecond: 1 } } });
    const body = json({ vin: 'V1', outcome: 'SUCCESS', ecus: [] });
    const statuses: number[] = [];
    for (let index = 0; index < 5; index++) {
      statuses.push((await backend.request('/report_versions', body)).status);
    }
    expect(statuses).toEqual([204, 204, 204, 429, 429]);
    expect((await backend.request('/report_versions', { ...body, from: '127.0.0.2' })).status).toBe(
      204,
    );
  });
});

describe('a token of a tool', () => {
  it('expires, and says when it was used last', async () => {
    const backend = await startBackend();
    const options = { clock: backend.clock };
    const token = await addToken(backend.dataDir, 'ops', 'operator', { ...options, lifeDays: 2 });
    const known = async () => (await listTokens(backend.dataDir, options))[0]!;
    expect(await known()).toMatchObject({
      expiresAt: new Date(backend.clock.wallMs() + 2 * DAY_MS).toISOString(),
      usedAt: undefined,
    });
    const ask = () => backend.request('/metrics', { headers: bearer(token) });
    expect((await ask()).status).toBe(200);
    expect((await known()).usedAt).toBe(new Date(backend.clock.wallMs()).toISOString());
    backend.clock.skip(2 * DAY_MS - 1);
    expect((await ask()).status).toBe(200);
    backend.clock.skip(1);
    const refused = await ask();
    expect([refused.status, refused.json.code]).toEqual([401, 'TOKEN_EXPIRED']);
    expect(refused.json.detail).toContain('can-ota server token ops --role operator');
  });
});

describe('the tag of /latest_version', () => {
  it('changes when a device of the vehicle is revoked or activated', async () => {
    const backend = await InjectedBackend.start();
    const vehicle = await backend.vehicle();
    const other = await backend.vehicle('OTHER');
    const tag = async (of = vehicle) => (await of.get('/latest_version')).headers.etag;
    const ecu = vehicle.ecus[1]!.serial;
    const set = (status: string) =>
      backend.database.prepare('update devices set status = ? where serial = ?').run(status, ecu);
    const tags = [await tag()];
    expect(await tag()).toBe(tags[0]);
    const others = await tag(other);
    set('revoked');
    expect(await tag()).not.toBe(tags[0]);
    expect(await tag(other)).toBe(others);
    set('active');
    expect(await tag()).toBe(tags[0]);
  });
});
