// The pages in a real browser: log in, release an image, read the audit log; desktop and phone, with and without script.

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  CATALOGUE,
  openStores,
  register,
  VIN as SERVICES_VIN,
  sync,
} from '../server/services-support.ts';
import { type Backend, json, PASSWORD, startBackend, temporaryFolder } from '../server/support.ts';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const missing = existsSync(executablePath)
  ? undefined
  : `no Chromium at ${executablePath}: install one or set CHROMIUM to run the tests of the web pages`;
if (missing !== undefined) process.stderr.write(`left out: ${missing}\n`);

const IMAGE = Buffer.alloc(300_000, 'firmware');
const SHA256 = createHash('sha256').update(IMAGE).digest('hex');
const DESKTOP: BrowserContextOptions = { viewport: { width: 1280, height: 800 } };
const PHONE: BrowserContextOptions = {
  viewport: { width: 360, height: 740 },
  isMobile: true,
  hasTouch: true,
};

/** Serves `target` below `/ota` and nothing else. Resolves to its address. */
async function startPrefixProxy(target: string, cutsOff: boolean): Promise<string> {
  const proxy = createServer((incoming, outgoing) => {
    const url = incoming.url ?? '';
    if (!url.startsWith('/ota/')) {
      outgoing.writeHead(404).end('no such site');
      return;
    }
    const { method, headers } = incoming;
    const onwards = request(
      target + (cutsOff ? url.slice(4) : url),
      { method, headers },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      },
    );
    onwards.once('error', () => outgoing.destroy());
    incoming.pipe(onwards);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void proxy.close());
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
}

describe.skipIf(missing !== undefined)('the pages in a browser', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath,
      args: [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    });
  });
  afterAll(() => browser?.close());

  /** Opens the log-in page; collects the errors of the browser (scripts, policy, missing files). */
  async function visit(
    backend: Backend,
    options: BrowserContextOptions = DESKTOP,
  ): Promise<{ page: Page; complaints: string[] }> {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') {
        complaints.push(message.text());
      }
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(backend.url);
    return { page, complaints };
  }

  async function logIn(page: Page, name = 'anna'): Promise<void> {
    await page.getByLabel('Name').fill(name);
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('heading', { name: 'Releases', exact: true }).waitFor();
  }

  async function imageFile(): Promise<string> {
    const file = path.join(await temporaryFolder(), 'edt.bin');
    await writeFile(file, IMAGE);
    return file;
  }

  async function release(page: Page, version: string): Promise<void> {
    await page.getByLabel('ECU').fill('EDT');
    await page.getByLabel('Version').fill(version);
    await page.getByLabel('Notes').fill('Better <brakes>');
    await page.getByLabel('Image').setInputFiles(await imageFile());
    await page.getByRole('button', { name: 'Release' }).click();
  }

  it('log in, release, see it, look it up in the audit log, log out', async () => {
    const backend = await startBackend();
    const { page, complaints } = await visit(backend);
    expect(page.url()).toBe(`${backend.url}/login`);
    await logIn(page);
    await page.getByText('Nothing is released yet').waitFor();
    await release(page, '2.0.0');
    const status = page.getByRole('status');
    await status.waitFor();
    expect(await status.textContent()).toContain(SHA256);
    await page.getByRole('cell', { name: 'Better <brakes>' }).waitFor();
    const { releases } = (await backend.request('/latest_version')).json;
    expect(releases).toMatchObject([{ ecu: 'EDT', version: '2.0.0', sha256: SHA256 }]);

    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: '2.0.0' }).click();
    expect((await download).suggestedFilename()).toBe(releases[0].file);

    await page.getByRole('link', { name: 'Audit log' }).click();
    await page.getByLabel('Search').fill('edt-2.0.0');
    await page.getByRole('button', { name: 'Show' }).click();
    await page.getByRole('cell', { name: /EDT-2\.0\.0.*300000 bytes/ }).waitFor();
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByRole('heading', { name: 'Log in' }).waitFor();
    await page.goto(`${backend.url}/audit`);
    expect(page.url()).toBe(`${backend.url}/login`);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  it.each(['left on', 'cut off'])('work below a path of a proxy, which is %s', async (how) => {
    const backend = await startBackend({ basePath: '/ota' });
    const site = await startPrefixProxy(backend.url, how === 'cut off');
    const { page, complaints } = await visit({ ...backend, url: `${site}/ota/` });
    await logIn(page);
    expect(page.url()).toBe(`${site}/ota/`);
    await release(page, '2.0.0');
    await page.getByRole('status').getByText(SHA256).waitFor();
    expect(page.url()).toMatch(/\/ota\/\?released=/);
    // With script: errors of the server are shown in place.
    await page.getByLabel('ECU').fill('EDT');
    await page.getByLabel('Version').fill('2.0.0');
    const other = { name: 'other.bin', mimeType: 'application/octet-stream' };
    await page.getByLabel('Image').setInputFiles({ ...other, buffer: Buffer.from('other') });
    await page.getByRole('button', { name: 'Release' }).click();
    await page.getByRole('alert').getByText('was released with other content').waitFor();
    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: '2.0.0' }).click();
    expect(await (await download).failure()).toBe(null);
    for (const name of ['Vehicles', 'Devices', 'Audit log']) {
      await page.getByRole('link', { name, exact: true }).click();
      await page.getByRole('heading', { name, exact: true }).waitFor();
      expect(page.url()).toMatch(new RegExp(`^${site}/ota/`));
    }
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByRole('heading', { name: 'Log in' }).waitFor();
    expect(page.url()).toBe(`${site}/ota/login`);
    // For the browser the refused upload is an error, too.
    expect(complaints).toEqual([expect.stringContaining('409')]);
    await page.context().close();
  });

  it('show what was wrong, in place', async () => {
    const backend = await startBackend();
    const { page } = await visit(backend);
    await page.getByLabel('Name').fill('anna');
    await page.getByLabel('Password').fill('not the password');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('alert').getByText('name or password is wrong').waitFor();
    expect(await page.getByLabel('Name').inputValue()).toBe('anna');
    await logIn(page);
    await release(page, '1.0.0');
    await page.getByRole('status').waitFor();
    await page.getByLabel('ECU').fill('edt'); // becomes EDT
    await page.getByLabel('Version').fill('1.0.0');
    await page.getByLabel('Image').setInputFiles({
      name: 'other.bin',
      mimeType: 'application/octet-stream',
      buffer: Buffer.from('other'),
    });
    await page.getByRole('button', { name: 'Release' }).click();
    await page.getByRole('alert').getByText('was released with other content').waitFor();
    expect(await page.getByLabel('ECU').inputValue()).toBe('EDT');
    await page.context().close();
  });

  it('work without script and on a phone, with nothing wider than the screen', async () => {
    const backend = await startBackend();
    await backend.request(
      '/report_versions',
      json({
        vin: 'WVWZZZ1JZXW000001',
        outcome: 'ROLLBACK_COMPLETED',
        campaign: 'f'.repeat(64),
        reason: 'BMS was silent',
        ecus: [{ name: 'BMS', hardwareId: 'BMS-HW-1', version: '1.0.0', error: 'e'.repeat(300) }],
      }),
    );
    const { page, complaints } = await visit(backend, { ...PHONE, javaScriptEnabled: false });
    await logIn(page);
    await release(page, '3.0.0-rc.1+build.2026.11.21');
    await page.getByRole('status').waitFor();
    for (const target of ['/', '/vehicles', '/vehicles?vin=WVWZZZ1JZXW000001', '/audit']) {
      await page.goto(backend.url + target);
      const box = await page
        .locator('html')
        .evaluate((html) => [html.scrollWidth, html.clientWidth]);
      expect(box[0], target).toBeLessThanOrEqual(box[1]!);
    }
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  it('cancel a campaign on a phone without script, and tell what the vehicle answers', async () => {
    const backend = await startBackend();
    const vin = 'WVWZZZ1JZXW000002';
    const tell = (more: object = {}) =>
      backend.request(
        '/vehicle/campaign',
        json({ vin, campaign: 'c1', state: 'staging', ...more }),
      );
    await tell();
    const { page, complaints } = await visit(backend, { ...PHONE, javaScriptEnabled: false });
    await logIn(page);
    await page.goto(`${backend.url}/vehicles`);
    await page.getByRole('region', { name: 'Campaigns under way' }).getByRole('link').click();
    const campaign = page.getByRole('region', { name: 'Campaign under way' });
    await campaign.getByLabel('Reason').fill('<wrong> release');
    await campaign.getByRole('button', { name: 'Cancel the campaign' }).click();
    await campaign.getByText('the vehicle has not answered yet').waitFor();
    const { cancel } = (await tell()).json;
    expect(cancel).toMatchObject({ by: 'anna', reason: '<wrong> release' });
    const reason = 'the point of no return has passed';
    await tell({ state: 'activating', answer: { order: cancel.order, accepted: false, reason } });
    await page.reload();
    await campaign.getByRole('status').getByText(`refused by the vehicle`).waitFor();
    await campaign.getByText(reason).waitFor();
    const box = await page.locator('html').evaluate((html) => [html.scrollWidth, html.clientWidth]);
    expect(box[0]).toBeLessThanOrEqual(box[1]!);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  it('configure and command a vehicle on a phone without script, errors beside the form', async () => {
    const backend = await startBackend();
    await register(backend);
    const stores = await openStores(backend.dataDir, backend.clock);
    await sync(stores, { catalogue: CATALOGUE });
    const { page, complaints } = await visit(backend, { ...PHONE, javaScriptEnabled: false });
    await logIn(page);
    await page.goto(`${backend.url}/vehicles?vin=${SERVICES_VIN}`);
    const configuration = page.getByRole('region', { name: 'Configuration' }).first();
    await configuration.getByText('Change the configuration').click();
    await configuration.getByLabel('Parameters').fill('{"dids": [');
    await configuration.getByRole('button', { name: 'Set the configuration' }).click();
    await configuration.getByRole('alert').getByText('not JSON').waitFor();
    expect(await configuration.getByLabel('Parameters').inputValue()).toBe('{"dids": [');
    const dids = Array.from({ length: 20 }, (_, index) => `INV.FD${40 + index}`);
    await configuration.getByLabel('Parameters').fill(JSON.stringify({ dids }));
    await configuration.getByLabel('Comment').fill('<why>');
    await configuration.getByRole('button', { name: 'Set the configuration' }).click();
    await configuration.getByText('the vehicle has not answered yet').waitFor();
    expect((await sync(stores)).configuration.wanted?.parameters).toEqual({ dids });

    await page.locator('summary').filter({ hasText: 'INV setPowerLimit' }).click();
    await page.getByLabel(/^power/).fill('60');
    await page.getByRole('button', { name: 'Order INV setPowerLimit' }).click();
    await page.getByRole('cell', { name: /INV setPowerLimit.*power 60/ }).waitFor();
    const { orders } = (await sync(stores)).commands;
    expect(orders).toMatchObject([{ action: 'setPowerLimit', arguments: { power: 60 } }]);
    await page.getByRole('button', { name: /^Cancel INV setPowerLimit/ }).click();
    await page.getByText('the vehicle has not answered yet').last().waitFor();
    const raw = { did: 'INV.FD40', at: '2026-01-01T00:00:00Z', count: 1, raw: 'ab'.repeat(200) };
    const batch = { number: 1, sender: 'a'.repeat(16), dropped: 0, samples: [raw] };
    await stores.telemetry.store({ ...batch, vin: SERVICES_VIN }, 'x');
    await page.reload();
    await page.getByRole('rowheader', { name: 'INV.FD40' }).waitFor();
    const box = await page.locator('html').evaluate((html) => [html.scrollWidth, html.clientWidth]);
    expect(box[0]).toBeLessThanOrEqual(box[1]!);
    // For the browser the refused form is an error, too.
    expect(complaints).toEqual([expect.stringContaining('400')]);
    await page.context().close();
  });

  it('can be used with the keyboard alone, and always show where the focus is', async () => {
    const backend = await startBackend();
    const { page } = await visit(backend);
    await page.getByLabel('Name').focus();
    await page.keyboard.type('vera');
    await page.keyboard.press('Tab');
    await page.keyboard.type(PASSWORD);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Releases', exact: true }).waitFor();
    const seen: string[] = [];
    for (let step = 0; step < 7; step++) {
      await page.keyboard.press('Tab');
      const focused = page.locator(':focus');
      seen.push((await focused.textContent())?.trim() ?? '');
      const outline = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle');
      expect(outline).toBe('solid');
    }
    expect(seen).toEqual([
      'Skip to content',
      'can-ota',
      'Releases',
      'Vehicles',
      'Devices',
      'Audit log',
      'Log out',
    ]);
    await page.context().close();
  });
});
