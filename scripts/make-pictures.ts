// Makes the pictures of the documentation from real output: the driver's screen and the bench on a terminal, and pages of a
// backend after a campaign. Needs script (util-linux) and Chromium (/usr/bin/chromium, or CHROMIUM). Takes about a minute.

import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Browser, type BrowserContextOptions, chromium } from 'playwright-core';
import { inBackground, OnTerminal, toItsEnd } from './pictures/programs.ts';

const root = path.resolve(import.meta.dirname, '..');
const PICTURES = path.join(root, 'docs', 'pictures');
const VIN = '1CANXTABENCH00001';
const PASSWORD = 'a password for pictures';
const BUS = 'local:pictures';

const STYLE = `
  body { margin: 0; background: #1b1f27; }
  pre { display: inline-block; margin: 0; padding: 14px 18px; color: #d7dce5;
        font: 14px/1.25 "DejaVu Sans Mono", monospace; }
  .bold { font-weight: bold; } .dim { opacity: 0.6; } .inverse { background: #d7dce5; color: #1b1f27; }
  .c1, .c9 { color: #f0757e; } .c2, .c10 { color: #8fd08a; } .c3, .c11 { color: #e5c07b; }
  .c4, .c12 { color: #7aa8f0; } .c5, .c13 { color: #cf8fe0; } .c6, .c14 { color: #65c5cf; }
  .c0, .c8 { color: #8891a1; } .c7, .c15 { color: #ffffff; }
`;

const DESKTOP: BrowserContextOptions = { viewport: { width: 1080, height: 960 } };
const PHONE: BrowserContextOptions = {
  viewport: { width: 360, height: 740 },
  isMobile: true,
  hasTouch: true,
};

async function paint(browser: Browser, name: string, html: string): Promise<void> {
  const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
  await page.setContent(`<style>${STYLE}</style><pre>${html}</pre>`);
  await page.locator('pre').screenshot({ path: path.join(PICTURES, name) });
  await page.close();
}

/** The gateway's screen with a question, in a vehicle of two ECUs that was provisioned for it. */
async function driverPicture(browser: Browser, folder: string): Promise<void> {
  const at = (name: string): string => path.join(folder, name);
  await mkdir(folder);
  const bench = await readFile(path.join(root, 'ecus', 'bench-vehicle.yaml'), 'utf8');
  const two = bench.slice(0, bench.indexOf('  - name: INV'));
  await writeFile(at('vehicle.yaml'), two.replaceAll(/^ +(?:secret|key): .*\n/gm, ''));
  await writeFile(at('edt.bin'), Buffer.alloc(400_000, 'a sharper map '));
  toItsEnd(['keys', 'init', '--dir', at('ceremony')]);
  toItsEnd(['keys', 'export-online', at('trust'), '--dir', at('ceremony')]);
  for (const role of ['factory', 'release']) {
    const out = ['--data', at('data'), '--out', at(`${role}.token`)];
    toItsEnd(['server', 'token', role, '--role', role, ...out]);
  }
  const server = ['server', '--port', '0', '--data', at('data'), '--trust', at('trust')];
  using backend = await inBackground(server, /listening on (\S+);/);
  const shared = ['--bus', BUS, '--vehicle', at('vehicle.yaml')];
  using _edt = await inBackground(['ecu', 'EDT', '--flash', at('edt'), ...shared], /EDT on/);
  using gateway = new OnTerminal(['cgw', '--flash', at('cgw'), ...shared], 78, 24);
  await gateway.shows(/No update is waiting/);
  const tool = (role: string): string[] => {
    return ['--server', backend.found, '--token-file', at(`${role}.token`)];
  };
  const state = ['--state-dir', at('state')];
  toItsEnd(['provision', ...tool('factory'), '--trust', at('trust'), ...state, ...shared]);
  const release = ['--ecu', 'EDT', '--version', '2.1.0', '--hardware', 'EDT-HW-1'];
  const notes = ['--notes', 'A sharper map', '--keys', at('ceremony')];
  toItsEnd(['release', 'add', at('edt.bin'), ...release, ...notes, ...tool('release')]);
  using _tmu = await inBackground(
    ['tmu', '--server', backend.found, ...state, ...shared, '--once'],
    /asking/,
  );
  await paint(browser, 'driver-prompt.png', await gateway.shows(/No answer counts/));
}

/** The bench while an ECU is programmed. */
async function benchPicture(browser: Browser, folder: string): Promise<void> {
  using bench = new OnTerminal(
    ['bench', '--approve', 'yes', '--bus', BUS, '--data', folder],
    106,
    40,
  );
  await paint(browser, 'bench-bars.png', await bench.shows(/^INV (?!download).* [4-9]\d ?%/m));
  if ((await bench.ended) !== 0) throw new Error(bench.screen.lines.join('\n'));
}

/** Pages of the backend that the bench has left: two signed releases, a vehicle and its last report. */
async function pagePictures(browser: Browser, folder: string): Promise<void> {
  const data = path.join(folder, 'server');
  toItsEnd(['server', 'user', 'add', 'alice', '--role', 'admin', '--data', data], `${PASSWORD}\n`);
  using server = await inBackground(
    ['server', '--port', '0', '--data', data, '--trust', path.join(folder, 'trust')],
    /listening on (\S+);/,
  );
  const shoot = async (
    options: BrowserContextOptions,
    target: string,
    name: string,
  ): Promise<void> => {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    await page.goto(new URL('/login', server.found).href);
    await page.getByLabel('Name').fill('alice');
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('heading', { name: 'Releases', exact: true }).waitFor();
    await page.goto(new URL(target, server.found).href);
    await page.screenshot({ path: path.join(PICTURES, name) });
    await context.close();
  };
  await shoot(DESKTOP, '/', 'releases.png');
  await shoot(DESKTOP, `/vehicles?vin=${VIN}`, 'vehicle.png');
  await shoot(PHONE, `/vehicles?vin=${VIN}`, 'vehicle-phone.png');
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run'],
});
const folder = await mkdtemp(path.join(tmpdir(), 'can-ota-pictures-'));
await mkdir(PICTURES, { recursive: true });
try {
  await driverPicture(browser, path.join(folder, 'driver'));
  await benchPicture(browser, path.join(folder, 'bench'));
  await pagePictures(browser, path.join(folder, 'bench'));
} finally {
  await browser.close();
  await rm(folder, { recursive: true, force: true });
}
const names = ['driver-prompt', 'bench-bars', 'releases', 'vehicle', 'vehicle-phone'];
for (const name of names) {
  const { size } = await stat(path.join(PICTURES, `${name}.png`));
  process.stdout.write(`docs/pictures/${name}.png  ${Math.round(size / 1024)} KiB\n`);
}
