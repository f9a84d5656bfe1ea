// Configuration, commands and measured data over HTTP: who may, what is refused and why, and the forms of the page.

import { describe, expect, it } from 'vitest';
import { addToken } from '../../server/features/registry/tool-commands.ts';
import {
  CATALOGUE,
  openStores,
  register,
  reportOf,
  type Stores,
  sync,
  VIN,
} from './services-support.ts';
import {
  type Backend,
  type Client,
  json,
  type Reply,
  type RequestOptions,
  startBackend,
} from './support.ts';
import { bearer } from './trust-support.ts';

const HTML = { Accept: 'text/html' };
const POWER = { ecu: 'INV', action: 'setPowerLimit', arguments: { power: 60 } };

interface World {
  readonly backend: Backend;
  readonly anna: Client;
  /** On the same folder as the server, as the vehicle's contacts find them. */
  readonly stores: Stores;
}

/** A registered vehicle, with a catalogue unless told. */
async function startWorld({ catalogue = true } = {}): Promise<World> {
  const backend = await startBackend();
  await register(backend);
  const stores = await openStores(backend.dataDir, backend.clock);
  if (catalogue) await sync(stores, { catalogue: CATALOGUE });
  return { backend, stores, anna: await backend.login() };
}

function put(client: Pick<Client, 'request'>, body: object, headers = {}): Promise<Reply> {
  return client.request(`/config/${VIN}`, {
    ...json(body),
    method: 'PUT',
    headers: { 'Content-Type': 'application/json', ...headers },
  });
}

function post(client: Client, path: string, body: object): Promise<Reply> {
  return client.request(path, {
    ...json(body),
    headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': client.csrfToken },
  });
}

/** As a browser sends a form. */
function send(
  { backend, anna }: World,
  path: string,
  fields: Record<string, string>,
): Promise<Reply> {
  const headers = { ...HTML, 'Content-Type': 'application/x-www-form-urlencoded' };
  return backend.request(path, {
    method: 'POST',
    body: new URLSearchParams({ _csrf: anna.csrfToken, ...fields }).toString(),
    headers: { ...headers, Cookie: anna.cookie },
  });
}

async function page({ anna }: World): Promise<string> {
  return (await anna.request(`/vehicles?vin=${VIN}`, { headers: HTML })).text;
}

const codeOf = (reply: Reply): unknown[] => [reply.status, reply.json.code];

describe('who may', () => {
  it('look: everybody who logs in, and operators; change: administrators and operators', async () => {
    const { backend, anna } = await startWorld();
    const vera = await backend.login('vera');
    const paths = ['config', 'commands', 'telemetry'].map((name) => `/${name}/${VIN}`);
    paths.push(`/commands/${VIN}/catalogue`, '/config/schema');
    for (const path of paths) {
      expect((await vera.request(path)).status, path).toBe(200);
      expect(codeOf(await backend.request(path))).toEqual([401, 'LOGIN_REQUIRED']);
    }
    const changes = (client: Client | Backend, init: RequestOptions): Promise<Reply>[] => [
      client.request(`/config/${VIN}`, { ...init, ...json({ parameters: {} }), method: 'PUT' }),
      client.request(`/commands/${VIN}`, { ...init, ...json(POWER) }),
      client.request(`/commands/${VIN}/x`, { ...init, method: 'DELETE' }),
      client.request(`/commands/${VIN}/x/cancel`, { ...init, ...json({}) }),
    ];
    const type = { 'Content-Type': 'application/json' };
    for (const change of changes(vera, {})) expect(codeOf(await change)).toEqual([403, 'ROLE']);
    const stranger = { headers: { ...type, 'X-CSRF-Token': 'x' } };
    for (const path of [`/config/${VIN}`, `/commands/${VIN}/x`]) {
      const method = path.startsWith('/config') ? 'PUT' : 'DELETE';
      const reply = await anna.request(path, { method, body: '{}', ...stranger });
      expect(codeOf(reply)).toEqual([403, 'CSRF']);
    }
    for (const role of ['operator', 'release', 'factory', 'director']) {
      const token = bearer(await addToken(backend.dataDir, `a-${role}`, role));
      const headers = { ...type, ...token };
      const look = await backend.request(`/config/${VIN}`, { headers });
      const order = await backend.request(`/commands/${VIN}`, { ...json(POWER), headers });
      const set = await put(backend, { parameters: { pollInterval: 5 } }, token);
      const allowed = role === 'operator';
      expect([role, look.status, order.status, set.status]).toEqual(
        allowed ? [role, 200, 201, 200] : [role, 403, 403, 403],
      );
      if (allowed) expect(order.json.createdBy).toBe('a-operator');
    }
  });

  it('nobody: for a vehicle of which no device is registered', async () => {
    const { anna } = await startWorld();
    for (const path of ['/config/NONE', '/commands/NONE', '/telemetry/NONE', '/commands/NONE/x']) {
      expect(codeOf(await anna.request(path)), path).toEqual([404, 'VEHICLE_UNKNOWN']);
    }
    expect(codeOf(await post(anna, '/commands/NONE', POWER))).toEqual([404, 'VEHICLE_UNKNOWN']);
    expect(codeOf(await anna.request('/config/..%2Fx'))).toEqual([400, 'BAD_FIELD']);
  });
});

describe('/config', () => {
  it('sets what is wanted, warns, and shows both sides', async () => {
    const { anna, stores } = await startWorld();
    const set = await put(anna, { parameters: { pollInterval: 0, colour: 1 }, comment: 'test' });
    expect([set.status, set.json]).toEqual([
      200,
      {
        ...{ vin: VIN, version: 1, changed: true },
        warnings: [
          expect.objectContaining({ parameter: 'pollInterval', code: 'OUT_OF_RANGE' }),
          expect.objectContaining({ parameter: 'colour', code: 'UNKNOWN_PARAMETER' }),
        ],
      },
    ]);
    expect((await put(anna, { parameters: { colour: 1, pollInterval: 0 } })).json).toMatchObject({
      ...{ version: 1, changed: false },
    });
    const { wanted } = (await sync(stores)).configuration;
    expect(wanted).toEqual({ version: 1, parameters: { pollInterval: 0, colour: 1 } });
    const view = (await anna.request(`/config/${VIN}`)).json;
    expect(view).toMatchObject({
      ...{ vin: VIN, pending: true, wanted: { version: 1, changedBy: 'anna', comment: 'test' } },
    });
    expect(view.history).toHaveLength(1);
    const schema = (await anna.request('/config/schema')).json;
    expect(schema.pollInterval).toMatchObject({ unit: 's', default: 10 });
  });

  it('refuses what is no configuration, and a change on top of another one', async () => {
    const { anna } = await startWorld();
    expect((await put(anna, { parameters: {} }, { 'If-Match': '0' })).json.version).toBe(1);
    const stale = await put(anna, { parameters: { a: 1 } }, { 'If-Match': '"0"' });
    expect(codeOf(stale)).toEqual([409, 'CONFIGURATION_CHANGED']);
    expect(stale.json.detail).toContain('at version 1 now');
    for (const [body, headers] of [
      [{ parameters: { 'no name': 1 } }, {}],
      [{ parameters: [] }, {}],
      [{}, {}],
      [{ parameters: {}, colour: 1 }, {}],
      [{ parameters: {} }, { 'If-Match': 'abc' }],
      [{ parameters: { a: 'x'.repeat(17_000) } }, {}],
    ] as const) {
      expect(codeOf(await put(anna, body, headers))).toEqual([400, 'BAD_FIELD']);
    }
    expect((await anna.request(`/config/${VIN}`)).json.history).toHaveLength(1);
  });
});

describe('/commands', () => {
  it('orders, shows, lists and cancels', async () => {
    const { anna, stores } = await startWorld();
    const ordered = await post(anna, `/commands/${VIN}`, {
      ...POWER,
      expiresInS: 600,
      key: 'k'.repeat(8),
    });
    expect(ordered.status).toBe(201);
    expect(ordered.json).toMatchObject({ ...POWER, state: 'pending', priority: 5, created: true });
    const { id, createdAt, expiresAt } = ordered.json;
    expect(Date.parse(expiresAt) - Date.parse(createdAt)).toBeCloseTo(600_000, -2);
    const again = await post(anna, `/commands/${VIN}`, {
      ...POWER,
      expiresInS: 600,
      key: 'k'.repeat(8),
    });
    expect([again.status, again.json.id, again.json.created]).toEqual([200, id, false]);
    const reused = await post(anna, `/commands/${VIN}`, { ...POWER, key: 'k'.repeat(8) });
    expect(codeOf(reused)).toEqual([409, 'KEY_REUSED']);
    expect((await anna.request(`/commands/${VIN}/${id}`)).json).toMatchObject({ id });

    await sync(stores);
    await sync(stores, { reports: [reportOf(id, 'delivered')] });
    const other = (await post(anna, `/commands/${VIN}`, { ecu: 'INV', action: 'calibrate' })).json
      .id;
    const list = async (query = ''): Promise<string[]> =>
      (await anna.request(`/commands/${VIN}${query}`)).json.commands.map(
        (command: { id: string }) => command.id,
      );
    expect(await list()).toEqual([other, id]);
    expect(await list('?state=delivered')).toEqual([id]);
    expect(await list('?limit=1')).toEqual([other]);
    expect(codeOf(await anna.request(`/commands/${VIN}?state=odd`))).toEqual([400, 'BAD_FIELD']);
    const cancel = (target: string): Promise<Reply> =>
      anna.request(`/commands/${VIN}/${target}`, { method: 'DELETE' });
    expect(await cancel(other)).toMatchObject({ status: 200, json: { state: 'cancelled' } });
    expect(await cancel(id)).toMatchObject({ status: 202, json: { state: 'delivered' } });
    await sync(stores, { reports: [reportOf(id, 'completed', { runs: 1 })] });
    expect(codeOf(await cancel(id))).toEqual([409, 'COMMAND_OVER']);
    expect(codeOf(await cancel('nothing'))).toEqual([404, 'NOT_FOUND']);
  });

  it.each([
    [{ ...POWER, ecu: 'ABS' }, 422, 'UNKNOWN_ECU', 'those that do are INV'],
    [{ ...POWER, action: 'explode' }, 422, 'UNKNOWN_ACTION', 'setPowerLimit'],
    [{ ...POWER, arguments: { power: 500 } }, 422, 'BAD_ARGUMENT', '0 to 120 kW'],
    [{ ...POWER, expiresAt: '2020-01-01T00:00:00Z' }, 400, 'BAD_FIELD', 'is over'],
    [{ ...POWER, expiresInS: 2_592_001 }, 400, 'BAD_FIELD', 'expiresInS'],
    [{ ...POWER, expiresInS: 5, expiresAt: '2099-01-01T00:00:00Z' }, 400, 'BAD_FIELD', 'not both'],
    [{ ...POWER, priority: 10 }, 400, 'BAD_FIELD', 'priority'],
    [{ ...POWER, key: 'short' }, 400, 'BAD_FIELD', 'key'],
  ])('refuses %j', async (body, status, code, text) => {
    const { anna } = await startWorld();
    const reply = await post(anna, `/commands/${VIN}`, body);
    expect(codeOf(reply)).toEqual([status, code]);
    expect(reply.json.detail).toContain(text);
    expect((await anna.request(`/commands/${VIN}`)).json.commands).toEqual([]);
  });

  it('waits for the vehicle to tell what it can do', async () => {
    const { anna, stores } = await startWorld({ catalogue: false });
    expect((await sync(stores)).commands.wantsCatalogue).toBe(true);
    expect(codeOf(await post(anna, `/commands/${VIN}`, POWER))).toEqual([409, 'NO_CATALOGUE']);
    expect(codeOf(await anna.request(`/commands/${VIN}/catalogue`))).toEqual([409, 'NO_CATALOGUE']);
    expect((await sync(stores, { catalogue: CATALOGUE })).commands.wantsCatalogue).toBe(false);
    expect((await sync(stores, { digest: 'b'.repeat(64) })).commands.wantsCatalogue).toBe(true);
    const { catalogue } = (await anna.request(`/commands/${VIN}/catalogue`)).json;
    expect(catalogue).toEqual(CATALOGUE);
    expect((await post(anna, `/commands/${VIN}`, POWER)).status).toBe(201);
  });
});

it('/telemetry answers as JSON or as CSV, by DID and time', async () => {
  const { anna, stores } = await startWorld();
  const sample = { did: 'INV.FD40', at: '2026-01-01T00:00:00Z', count: 3, mean: 2, unit: 'kW' };
  const batch = { vin: VIN, number: 2, sender: 'a'.repeat(16), dropped: 1, samples: [sample] };
  await stores.telemetry.store(batch, 'x');
  const { counts, samples } = (await anna.request(`/telemetry/${VIN}`)).json;
  expect(counts).toEqual({ batches: 1, samples: 1, duplicates: 0, lost: 1, dropped: 1 });
  expect(samples).toMatchObject([{ ...sample, at: '2026-01-01T00:00:00.000Z' }]);
  const csv = await anna.request(
    `/telemetry/${VIN}?did=INV.FD40&since=2026-01-01T01:00:00%2B01:00`,
    {
      headers: { Accept: 'text/csv' },
    },
  );
  expect(csv.headers['content-type']).toBe('text/csv; charset=utf-8');
  expect(csv.text.split('\r\n')[1]).toContain('2026-01-01T00:00:00.000Z,INV.FD40,3,2,,,kW,,');
  expect((await anna.request(`/telemetry/${VIN}?format=csv`)).text).toBe(csv.text);
  for (const query of ['did=x', 'format=xml', 'since=yesterday', 'limit=0', 'limit=20001']) {
    expect(codeOf(await anna.request(`/telemetry/${VIN}?${query}`))).toEqual([400, 'BAD_FIELD']);
  }
  expect((await anna.request(`/telemetry/${VIN}?did=BMS.FD40`)).json.samples).toEqual([]);
});

describe('the page of a vehicle', () => {
  it('shows wanted and in force side by side, commands and what was measured', async () => {
    const world = await startWorld();
    const { anna, stores } = world;
    expect(await page(world)).toContain('everything is at its default');
    await put(anna, { parameters: { pollInterval: 5 }, comment: '<b>why</b>' });
    await post(anna, `/commands/${VIN}`, POWER);
    const sample = { did: 'INV.FD40', at: '2026-01-01T00:00:00Z', count: 3, mean: 2.00049 };
    const batch = { vin: VIN, number: 1, sender: 'a'.repeat(16), dropped: 0, samples: [sample] };
    await stores.telemetry.store(batch, 'x');
    const html = await page(world);
    expect(html).toContain('&lt;b&gt;why&lt;/b&gt;');
    expect(html).toContain('the vehicle has not answered yet');
    expect(html).toMatch(/data-label="Wanted"[^>]*><span><code>5<\/code> s/);
    expect(html).toContain('Choose &lt;how&gt; it works');
    expect(html).toMatch(/INV setPowerLimit[\s\S]*power 60/);
    expect(html).toMatch(/data-label="Mean"[^>]*>2 /);
    const vera = await world.backend.login('vera');
    const looks = (await vera.request(`/vehicles?vin=${VIN}`, { headers: HTML })).text;
    expect(looks).toContain('id="commands"');
    expect(looks).not.toMatch(/<textarea|action="\/(config|commands)/);
    const other = (await anna.request('/vehicles?vin=OTHER', { headers: HTML })).text;
    expect(other).not.toContain('id="configuration"');
  });

  it('orders by a form, once however often it is sent, and tells what is wrong in place', async () => {
    const world = await startWorld();
    const key = /name="key" value="([^"]+)"/.exec(await page(world))![1]!;
    const form = {
      ...{ command: 'INV.setPowerLimit', 'argument.power': '60.5', expiresInS: '600' },
      ...{ priority: '7', key },
    };
    for (let round = 0; round < 2; round++) {
      const done = await send(world, `/commands/${VIN}`, form);
      expect([done.status, done.headers.location]).toEqual([303, `/vehicles?vin=${VIN}#commands`]);
    }
    const { commands } = (await world.anna.request(`/commands/${VIN}`)).json;
    expect(commands).toMatchObject([{ arguments: { power: 60.5 }, priority: 7, state: 'pending' }]);

    const wrong = await send(world, `/commands/${VIN}`, { ...form, 'argument.power': '999' });
    expect(wrong.status).toBe(409); // the same key with other arguments
    const fresh = { ...form, key: `${key}-b`, 'argument.power': '999' };
    const refused = await send(world, `/commands/${VIN}`, fresh);
    expect(refused.status).toBe(422);
    expect(refused.text).toMatch(/<details open>\s*<summary>INV setPowerLimit/);
    expect(refused.text).toContain('power: expected a number from 0 to 120 kW');
    expect(refused.text).toContain('value="999"');
    const gone = await send(world, `/commands/${VIN}`, { ...fresh, command: 'INV.gone' });
    expect(gone.text).toContain('INV has no action gone');
    const forged = await send(world, `/commands/${VIN}`, { ...fresh, _csrf: 'x' });
    expect(forged.status).toBe(403);

    const { id } = commands[0];
    const cancelled = await send(world, `/commands/${VIN}/${id}/cancel`, {});
    expect(cancelled.status).toBe(303);
    const late = await send(world, `/commands/${VIN}/nothing/cancel`, {});
    expect([late.status, late.text.includes('there is no such command')]).toEqual([404, true]);
  });

  it('sets the configuration by a form, and keeps what was written when it is refused', async () => {
    const world = await startWorld();
    const set = (parameters: string, version: string): Promise<Reply> =>
      send(world, `/config/${VIN}`, { parameters, version, comment: '' });
    const done = await set('{"pollInterval": 5}', '0');
    expect([done.status, done.headers.location]).toEqual([
      303,
      `/vehicles?vin=${VIN}#configuration`,
    ]);
    const broken = await set('{"pollInterval": <5>', '1');
    expect(broken.status).toBe(400);
    expect(broken.text).toContain('parameters: not JSON');
    expect(broken.text).toContain('{&quot;pollInterval&quot;: &lt;5&gt;</textarea>');
    const stale = await set('{}', '0');
    expect([stale.status, stale.text.includes('at version 1 now')]).toEqual([409, true]);
    expect(stale.text).toContain('name="version" value="1"');
    const view = (await world.anna.request(`/config/${VIN}`)).json;
    expect(view.wanted).toMatchObject({ version: 1, parameters: { pollInterval: 5 } });
  });
});
