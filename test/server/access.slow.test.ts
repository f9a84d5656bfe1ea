// Every route with every kind of caller: who is let in stands here, and a route without a line here fails.

import { gzipSync } from 'node:zlib';
import type Router from '@koa/router';
import { describe, expect, it } from 'vitest';
import { addUser } from '../../server/features/people/tool-commands.ts';
import { addToken } from '../../server/features/registry/tool-commands.ts';
import { type Access, accessOf } from '../../server/platform/auth/access.ts';
import type { RequestState } from '../../server/platform/http/request.ts';
import { routeOf } from '../../src/contract/endpoint.ts';
import { ENDPOINTS } from '../../src/contract/endpoints/endpoints.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { HttpClient } from '../../src/link/http-client.ts';
import { SealedClient } from '../../src/link/sealed-client.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { SimulatedDisk } from '../../src/sim/simulated-disk.ts';
import { SEALED_TYPE } from '../../src/trust/sealed-session.ts';
import { InjectedTransport } from '../support/injected-transport.ts';
import { InjectedBackend } from './injected-support.ts';
import { CATALOGUE, DIGEST } from './services-support.ts';
import {
  cookieOf,
  FAST_BCRYPT,
  json,
  PASSWORD,
  type Reply,
  type RequestOptions,
} from './support.ts';
import { bearer, logIn, type TestEcu, VIN } from './trust-support.ts';

const CALLERS = [
  /** Nobody known. */
  'anon',
  /** The TMU of the vehicle, the TMU of another one, an ECU of the vehicle, a device of no vehicle, a revoked TMU. */
  ...(['tmu', 'foreign', 'ecu', 'gadget', 'revoked'] as const),
  /** People with a session and its CSRF token, and an administrator's browser without the token. */
  ...(['viewer', 'admin', 'forged'] as const),
  /** Tools with a token, and a token that was never given out. */
  ...(['factory', 'release', 'operator', 'director', 'bogus'] as const),
] as const;
type Caller = (typeof CALLERS)[number];

/** By method and path. */
const ACCESS: ReadonlyMap<string, Access> = new Map(
  ENDPOINTS.map((endpoint) => [routeOf(endpoint), accessOf(endpoint)]),
);

// `+` is let in: whatever the answer is, it is neither 401 nor 403. `-` is not.
const TABLE = `
                                   anon tmu foreign ecu gadget revoked viewer admin forged factory release operator director bogus
GET /healthz                          +   +       +   +      +       +      +     +      +       +       +        +        +     +
GET /openapi.json                     +   +       +   +      +       +      +     +      +       +       +        +        +     +
GET /metrics                          +   -       -   -      -       -      +     +      +       -       -        +        -     -
GET /static/:name                     +   +       +   +      +       +      +     +      +       +       +        +        +     +
POST /auth/challenge                  +   +       +   +      +       +      +     +      +       +       +        +        +     +
POST /auth/response                   +   +       +   +      +       +      +     +      +       +       +        +        +     +
POST /auth/rotate                     -   +       +   +      +       -      -     -      -       -       -        -        -     -
GET /latest_version                   -   +       +   +      +       -      -     -      -       -       -        -        -     -
GET /get_nonce                        -   +       +   +      +       -      -     -      -       -       -        -        -     -
POST /get_nonce                       -   +       +   +      +       -      -     -      -       -       -        -        -     -
GET /ota_download/:file               -   +       +   +      +       -      -     -      -       -       -        -        -     -
POST /report_versions                 -   +       -   -      -       -      -     -      -       -       -        -        -     -
POST /vehicle/campaign                -   +       -   -      -       -      -     -      -       -       -        -        -     -
POST /vehicle/checkin                 -   +       -   -      -       -      -     -      -       -       -        -        -     -
POST /vehicle/time                    -   +       +   +      +       -      -     -      -       -       -        -        -     -
POST /vehicle/sync                    -   +       -   -      -       -      -     -      -       -       -        -        -     -
POST /telemetry                       -   +       -   -      -       -      -     -      -       -       -        -        -     -
GET /director/:vin/metadata/:file     -   +       -   +      -       -      -     -      -       -       -        -        -     -
GET /director/metadata/:file          +   +       +   +      +       -      +     +      +       +       +        +        +     -
GET /metadata/:file                   +   +       +   +      +       -      +     +      +       +       +        +        +     -
GET /targets/:file                    +   +       +   +      +       -      +     +      +       +       +        +        +     -
POST /ota/check                       -   +       +   +      +       -      -     -      -       -       -        -        -     -
POST /ota/chunk                       -   +       +   +      +       -      -     -      -       -       -        -        -     -
POST /ota/verify                      -   +       +   +      +       -      -     -      -       -       -        -        -     -
POST /ota/complete                    -   +       +   +      +       -      -     -      -       -       -        -        -     -
POST /ota/status                      -   +       +   +      +       -      -     -      -       -       -        -        -     -
POST /provision                       -   -       -   -      -       -      -     -      -       +       -        -        -     -
POST /provision/activate              -   -       -   -      -       -      -     -      -       +       -        -        -     -
POST /ota/packages                    -   -       -   -      -       -      -     -      -       -       +        -        -     -
POST /ota/packages/withdraw           -   -       -   -      -       -      -     +      -       -       +        -        -     -
GET /ota/packages                     -   -       -   -      -       -      +     +      +       -       +        +        -     -
GET /ota/transfers                    -   -       -   -      -       -      +     +      +       -       +        +        -     -
POST /upload                          -   -       -   -      -       -      -     +      -       -       +        -        -     -
GET /upload/:file                     -   -       -   -      -       -      -     +      +       -       -        -        -     -
POST /metadata/:role                  -   -       -   -      -       -      -     +      -       -       +        -        -     -
POST /director/metadata/root          -   -       -   -      -       -      -     +      -       -       +        -        -     -
GET /vehicles/:vin/campaign           -   -       -   -      -       -      +     +      +       -       +        +        -     -
GET /vehicles/:vin/checkin            -   -       -   -      -       -      +     +      +       -       -        +        -     -
POST /vehicles/:vin/cancel            -   -       -   -      -       -      -     +      -       -       +        +        -     -
POST /vehicles/:vin/ask-again         -   -       -   -      -       -      -     +      -       -       +        +        -     -
GET /config/schema                    -   -       -   -      -       -      +     +      +       -       -        +        -     -
GET /config/:vin                      -   -       -   -      -       -      +     +      +       -       -        +        -     -
PUT /config/:vin                      -   -       -   -      -       -      -     +      -       -       -        +        -     -
POST /config/:vin                     -   -       -   -      -       -      -     +      -       -       -        +        -     -
GET /commands/:vin                    -   -       -   -      -       -      +     +      +       -       -        +        -     -
GET /commands/:vin/catalogue          -   -       -   -      -       -      +     +      +       -       -        +        -     -
GET /commands/:vin/:id                -   -       -   -      -       -      +     +      +       -       -        +        -     -
POST /commands/:vin                   -   -       -   -      -       -      -     +      -       -       -        +        -     -
DELETE /commands/:vin/:id             -   -       -   -      -       -      -     +      -       -       -        +        -     -
POST /commands/:vin/:id/cancel        -   -       -   -      -       -      -     +      -       -       -        +        -     -
GET /telemetry/:vin                   -   -       -   -      -       -      +     +      +       -       -        +        -     -
GET /login                            +   +       +   +      +       +      +     +      +       +       +        +        +     +
POST /login                           +   +       +   +      +       +      +     +      +       +       +        +        +     +
GET /session                          -   -       -   -      -       -      +     +      +       -       -        -        -     -
GET /                                 -   -       -   -      -       -      +     +      +       -       -        -        -     -
GET /vehicles                         -   -       -   -      -       -      +     +      +       -       -        -        -     -
GET /devices                          -   -       -   -      -       -      +     +      +       -       -        -        -     -
GET /audit                            -   -       -   -      -       -      +     +      +       -       -        -        -     -
POST /logout                          -   -       -   -      -       -      +     +      -       -       -        -        -     -
`;

/** Where no vehicle has to log in yet: what one may do that is not known. */
const OPEN = [
  'GET /latest_version',
  'GET /get_nonce',
  'POST /get_nonce',
  'GET /ota_download/:file',
  'POST /report_versions',
  'POST /vehicle/campaign',
];

const rows = new Map(
  TABLE.trim()
    .split('\n')
    .slice(1)
    .map((line): [string, string[]] => {
      const [method, path, ...cells] = line.split(/ +/);
      return [`${method} ${path}`, cells];
    }),
);

const CAMPAIGN = { vin: VIN, campaign: 'c1', state: 'staging' };
const BODIES: Readonly<Record<string, unknown>> = {
  'POST /report_versions': { vin: VIN, outcome: 'SUCCESS', ecus: [] },
  'POST /vehicle/campaign': CAMPAIGN,
  'POST /vehicle/checkin': { vin: VIN, manifest: {} },
  'POST /login': { name: 'anna', password: PASSWORD },
  'POST /vehicles/:vin/cancel': { reason: 'a test' },
  'POST /vehicle/sync': {
    ...{ vin: VIN, configuration: { version: 0 } },
    commands: { reports: [], catalogue: CATALOGUE, catalogueDigest: DIGEST },
  },
  'POST /telemetry': {
    ...{ vin: VIN, number: 1, sender: 'a'.repeat(16), dropped: 0 },
    samples: [{ did: 'INV.FD40', at: '2026-01-01T00:00:00Z', count: 2, mean: 7 }],
  },
};

const UPLOAD: RequestOptions = {
  headers: { 'Content-Type': 'multipart/form-data; boundary=b' },
  body: '--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\nx\r\n--b--\r\n',
};

function routesOf({ server }: InjectedBackend): string[] {
  const routers = server.app.middleware.flatMap(
    (entry) => (entry as unknown as { router?: Router<RequestState> }).router ?? [],
  );
  return [...new Set(routers)].flatMap(({ stack }) =>
    stack.flatMap(({ path, methods }) =>
      methods.filter((method) => method !== 'HEAD').map((method) => `${method} ${path}`),
    ),
  );
}

function requestOf(route: string): { method: string; path: string; body: unknown } {
  const [method = '', pattern = ''] = route.split(' ');
  const path = pattern
    .replace(':vin', VIN)
    .replace('/metadata/:file', '/metadata/1.root.json')
    .replace(':file', 'EDT-1.0.0-0123456789ab.bin')
    .replace(/:\w+/, 'x');
  return { method, path, body: method === 'GET' ? undefined : (BODIES[route] ?? {}) };
}

const isLetIn = ({ status }: Reply): boolean => status !== 401 && status !== 403;

/** People and tools of a backend, and devices with both kinds of session. */
class Callers {
  readonly backend: InjectedBackend;
  readonly headers = new Map<Caller, Record<string, string>>();
  readonly sealed = new Map<Caller, SealedClient>();

  constructor(backend: InjectedBackend) {
    this.backend = backend;
  }

  static async start(): Promise<Callers> {
    const backend = await InjectedBackend.start({ bcryptCost: FAST_BCRYPT });
    const { clock, random, database } = backend;
    const own = await backend.vehicle();
    const other = await backend.vehicle('WVWZZZ1JZXW000002');
    const gone = await backend.vehicle('WVWZZZ1JZXW000003');
    const loose = (await backend.vehicle('WVWZZZ1JZXW000004')).ecu('INV');
    database.prepare('update devices set vin = null where serial = ?').run(loose.serial);
    for (const [name, role] of [
      ['anna', 'admin'],
      ['vera', 'viewer'],
    ] as const) {
      await addUser(database, name, role, PASSWORD, { clock, random, bcryptCost: FAST_BCRYPT });
    }
    const director = await addToken(database, 'director', 'director', { clock, random });
    await backend.restart();
    const callers = new Callers(backend);
    callers.headers.set('anon', {});
    for (const [caller, ecu] of [
      ['tmu', own.primary],
      ['foreign', other.primary],
      ['ecu', own.ecu('EDT')],
      ['gadget', loose],
      ['revoked', gone.primary],
    ] as const) {
      callers.headers.set(caller, bearer(await logIn(backend, ecu, random)));
      callers.sealed.set(caller, await callers.#sealed(ecu));
    }
    // In the middle of its sessions.
    await callers.sealed.get('revoked')!.post('/auth/rotate', Buffer.from('{}'));
    database
      .prepare("update devices set status = 'revoked' where serial = ?")
      .run(gone.primary.serial);
    for (const [caller, token] of [
      ['factory', backend.factory],
      ['release', backend.releaser],
      ['operator', backend.operator],
      ['director', director],
      ['bogus', `cot-${'x'.repeat(43)}`],
    ] as const) {
      callers.headers.set(caller, bearer(token));
    }
    return callers;
  }

  #sealed({ serial, hwId, secret }: TestEcu): Promise<SealedClient> {
    const { backend } = this;
    return SealedClient.open({
      client: new HttpClient({
        ...{ clock: backend.clock, headers: {} },
        transport: new InjectedTransport(() => backend.server.app),
      }),
      base: new URL('http://backend/'),
      device: { serial, hwId, deviceSecret: secret },
      storage: new SimulatedDisk().open(),
      clock: backend.clock,
      random: seededRandom(serial),
      logger: silentLogger,
    });
  }

  /** A session for each request: some of them end it. */
  async #person(caller: Caller): Promise<Record<string, string>> {
    const name = caller === 'viewer' ? 'vera' : 'anna';
    const reply = await this.backend.request('/login', json({ name, password: PASSWORD }));
    const cookie = { Cookie: cookieOf(reply) };
    return caller === 'forged' ? cookie : { ...cookie, 'X-CSRF-Token': reply.json.csrfToken };
  }

  async isLetIn(caller: Caller, route: string): Promise<boolean> {
    const { method, path, body } = requestOf(route);
    const headers = this.headers.get(caller) ?? (await this.#person(caller));
    if (ACCESS.get(route)?.for === 'sealed') {
      const client = this.sealed.get(caller);
      if (client === undefined) {
        const plain = await this.backend.request(path, {
          ...{ method, body: JSON.stringify(body) },
          headers: { ...headers, 'Content-Type': SEALED_TYPE },
        });
        // What is no message says nothing of who sent it.
        return plain.status !== 400 && isLetIn(plain);
      }
      const text = JSON.stringify(body);
      const bytes = route === 'POST /telemetry' ? gzipSync(text) : Buffer.from(text);
      const reply = await client.post(path, bytes);
      return reply.kind === 'answer' || !['HTTP_401', 'HTTP_403'].includes(reply.code);
    }
    const init = route === 'POST /upload' ? UPLOAD : body === undefined ? {} : json(body);
    const reply = await this.backend.request(path, {
      ...init,
      method,
      headers: { ...init.headers, ...headers },
    });
    // A download needs a nonce, and without a session it does not come so far.
    if (reply.status === 403 && reply.json.code === 'NONCE_MISSING') return true;
    return isLetIn(reply);
  }
}

describe('the access table', () => {
  it('has a line for every route, here and in the server, and no other lines', async () => {
    const backend = await InjectedBackend.start();
    const routes = routesOf(backend);
    expect(routes.length).toBeGreaterThan(50);
    expect(routes.toSorted()).toEqual([...rows.keys()].toSorted());
    expect([...ACCESS.keys()].toSorted()).toEqual([...rows.keys()].toSorted());
  });

  it('lets in who belongs there, and nobody else', async () => {
    const callers = await Callers.start();
    for (const [route, cells] of rows) {
      const found: string[] = [];
      for (const caller of CALLERS) found.push((await callers.isLetIn(caller, route)) ? '+' : '-');
      const named = (marks: readonly string[]) =>
        CALLERS.map((caller, index) => `${caller} ${marks[index]}`).join(', ');
      expect.soft(named(found), route).toBe(named(cells));
    }
  });

  it('lets vehicles in that need not log in, and where they have to speak for themselves', async () => {
    const backend = await InjectedBackend.start();
    const found: string[] = [];
    for (const route of rows.keys()) {
      const access = ACCESS.get(route)!;
      if (access.for !== 'device') continue;
      const { method, path, body } = requestOf(route);
      const init = body === undefined ? {} : json(body);
      const reply = await backend.request(path, { ...init, method });
      if (isLetIn(reply) || reply.json.code === 'NONCE_MISSING') found.push(route);
    }
    expect(found).toEqual(OPEN);
  });
});

describe('an ECU of the vehicle', () => {
  it('cannot answer the cancel order, which its TMU still hears, and is on record', async () => {
    const callers = await Callers.start();
    const { backend } = callers;
    const as = (caller: Caller, path: string, body: object): Promise<Reply> => {
      const init = json(body);
      return backend.request(path, {
        ...init,
        headers: { ...init.headers, ...callers.headers.get(caller) },
      });
    };
    expect((await as('tmu', '/vehicle/campaign', CAMPAIGN)).json).toEqual({ cancel: null });
    const { order } = (await as('operator', `/vehicles/${VIN}/cancel`, { reason: 'recall' })).json;
    const answer = { order, accepted: true, reason: '' };
    const refused = await as('ecu', '/vehicle/campaign', { ...CAMPAIGN, answer });
    expect([refused.status, refused.json.code]).toEqual([403, 'FOREIGN_VEHICLE']);
    const report = { vin: VIN, outcome: 'SUCCESS', campaign: 'c1', ecus: [] };
    expect((await as('ecu', '/report_versions', report)).status).toBe(403);
    expect((await as('tmu', '/vehicle/campaign', CAMPAIGN)).json.cancel).toMatchObject({ order });
    const audit = backend.database
      .prepare("select detail from audit where action = 'refused.device'")
      .all()
      .map(({ detail }) => detail);
    expect(audit).toContain('no Primary: POST /vehicle/campaign');
  });
});
