// The audit log: what it holds, pages and filters, and that a flood cannot fill the disk.

import { describe, expect, it, onTestFinished } from 'vitest';
import { AuditLog } from '../../server/features/audit/store.ts';
import { openDatabase } from '../../server/platform/db/database.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { systemRandom } from '../../src/core/random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { json, startBackend, temporaryFolder } from './support.ts';

async function openLog(keep?: number) {
  const clock = new VirtualClock();
  const db = await openDatabase(await temporaryFolder(), { clock, random: systemRandom });
  onTestFinished(() => db.close());
  return { clock, log: new AuditLog(db, silentLogger, keep) };
}

describe('AuditLog', () => {
  it('counts equal refusals of a minute together', async () => {
    const { clock, log } = await openLog();
    const refusal = { action: 'refused.address', address: '10.0.0.1' } as const;
    for (let second = 0; second < 90; second++) {
      await log.record(refusal);
      await clock.advance(1000);
    }
    const entries = await log.list({ limit: 10 });
    expect(entries.map((entry) => entry.count)).toEqual([30, 60]);
    expect(entries[1]).toMatchObject({
      at: '2026-01-01T00:00:00.000Z',
      lastAt: '2026-01-01T00:00:59.000Z',
    });
  });

  it('keeps different refusals apart up to a limit, then one row for all others', async () => {
    const { log } = await openLog();
    for (let index = 0; index < 2000; index++) {
      await log.record({ action: 'refused.address', address: `10.0.${index >> 8}.${index & 255}` });
    }
    const entries = await log.list({ limit: 3000 });
    expect(entries.length).toBeLessThanOrEqual(501);
    expect(entries.reduce((sum, entry) => sum + entry.count, 0)).toBe(2000);
    expect(entries[0]).toMatchObject({ address: 'many', count: 1500 });
  });

  it('keeps the last entries of each category, whatever the others do', async () => {
    const { log } = await openLog(100);
    await log.record({ action: 'login.ok', who: 'anna', address: '::1' });
    for (let index = 0; index < 1500; index++) {
      await log.record({ action: 'nonce.issued', who: `V${index}`, address: '::1' });
    }
    const vehicles = await log.list({ limit: 5000, category: 'vehicles' });
    expect(vehicles.length).toBeLessThanOrEqual(600);
    expect(vehicles[0]!.who).toBe('V1499');
    expect(await log.list({ limit: 10, category: 'people' })).toHaveLength(1);
  });

  it('keeps each kind of refusal, and what strangers do, apart from all others', async () => {
    const { clock, log } = await openLog(100);
    await log.record({ action: 'refused.device', who: 'CO-000001', address: '10.0.0.1' });
    await log.record({ action: 'login.failed', who: 'anna', address: '10.0.0.1' });
    await log.record({ action: 'report', who: 'V1', address: '10.0.0.1' });
    for (let index = 0; index < 1200; index++) {
      const address = `10.1.${index >> 8}.${index & 255}`;
      await log.record({ action: 'login.failed', stranger: true, address });
      await log.record({ action: 'report', who: `V${index}`, stranger: true, address });
      if (index % 300 === 0) await clock.advance(61_000);
    }
    for (const text of ['refused.device', 'anna']) {
      expect(await log.list({ limit: 10, text }), text).toHaveLength(1);
    }
    const reports = await log.list({ limit: 5000, text: 'report' });
    expect(reports.length).toBeLessThanOrEqual(10 + 500 + 1);
    expect(reports.at(-1)).toMatchObject({ who: 'V1', address: '10.0.0.1' });
  });

  it('gives one address few rows, and cuts long texts by their bytes', async () => {
    const { log } = await openLog();
    for (let index = 0; index < 200; index++) {
      await log.record({ action: 'refused.session', address: '10.0.0.1', detail: `GET /${index}` });
    }
    await log.record({ action: 'refused.session', address: '10.0.0.2', detail: 'GET /' });
    const entries = await log.list({ limit: 500 });
    expect(entries).toHaveLength(22);
    expect(entries.reduce((sum, entry) => sum + entry.count, 0)).toBe(201);
    await log.record({
      action: 'upload',
      who: 'anna',
      address: '::1',
      detail: '\u{1f697}'.repeat(300),
    });
    const [cut] = await log.list({ limit: 1 });
    expect(cut!.detail).toBe('\u{1f697}'.repeat(75));
  });

  it('finds text literally and without regard to case', async () => {
    const { log } = await openLog();
    await log.record({ action: 'upload', who: 'anna', address: '::1', detail: '100%_Done\\' });
    await log.record({ action: 'upload', who: 'vera', address: '::1', detail: '100 xDone' });
    for (const text of ['%_', '\\', 'ANNA', '100%_done']) {
      expect(await log.list({ limit: 9, text }), text).toMatchObject([{ who: 'anna' }]);
    }
    expect(await log.list({ limit: 9, text: "' or 1=1 --" })).toEqual([]);
  });
});

describe('the page', () => {
  it('holds log-ins, uploads, nonces, downloads, reports, refusals and log-outs', async () => {
    const backend = await startBackend();
    await backend.request('/login', json({ name: 'anna', password: 'wrong' }));
    await backend.request('/upload', { method: 'POST' });
    const admin = await backend.login();
    const { file } = (await admin.upload({ ecu: 'EDT', version: '1', image: Buffer.from('x') }))
      .json;
    await admin.upload(
      { ecu: 'EDT', version: '2', image: Buffer.from('x') },
      {
        headers: { 'X-CSRF-Token': 'x' },
      },
    );
    await admin.request(`/upload/${file}`);
    const { nonce } = (await backend.request('/get_nonce?vin=V1')).json;
    await backend.request(`/ota_download/${file}?nonce=${nonce}&vin=V1`);
    await backend.request(`/ota_download/${file}?nonce=${nonce}&vin=V1`);
    await backend.request('/report_versions', json({ vin: 'V1', outcome: 'SUCCESS', ecus: [] }));
    await (await backend.login('vera')).upload({ image: Buffer.from('x') });
    const other = await backend.login();
    await other.request('/logout', { method: 'POST' });
    const { entries } = (await admin.request('/audit')).json as {
      entries: { action: string; who: string; address: string }[];
    };
    expect(new Set(entries.map((entry) => entry.action))).toEqual(
      new Set([
        'login.failed',
        'refused.session',
        'login.ok',
        'upload',
        'refused.csrf',
        'image.download',
        'nonce.issued',
        'download.start',
        'download.complete',
        'nonce.refused',
        'report',
        'refused.role',
        'logout',
      ]),
    );
    expect(entries.find((entry) => entry.action === 'nonce.refused')).toMatchObject({
      who: 'V1',
      address: '127.0.0.1',
      detail: 'NONCE_USED',
    });
  });

  it('leads from page to page under the same filter', async () => {
    const backend = await startBackend();
    const viewer = await backend.login('vera');
    for (let index = 0; index < 120; index++) await backend.request(`/get_nonce?vin=V${index}`);
    const seen: string[] = [];
    let next: string | undefined = '/audit?category=vehicles&q=nonce';
    let pages = 0;
    while (next !== undefined) {
      const page: { entries: { who: string }[]; older?: string } = (await viewer.request(next))
        .json;
      seen.push(...page.entries.map((entry) => entry.who));
      next = page.older;
      pages++;
    }
    expect(pages).toBe(3);
    expect(seen).toEqual(Array.from({ length: 120 }, (_, index) => `V${119 - index}`));
    const html = await viewer.request('/audit?category=vehicles', {
      headers: { Accept: 'text/html' },
    });
    expect(html.text).toContain('rel="next"');
    for (const bad of ['category=x', 'before=1', `q=${'x'.repeat(200)}`, 'q=a&q=b']) {
      expect((await viewer.request(`/audit?${bad}`)).status, bad).toBe(400);
    }
  });
});
