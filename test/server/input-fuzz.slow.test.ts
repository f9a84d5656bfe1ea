// Every way in, with a fixed budget of nonsense: nothing gets a 5xx, nothing stops the server.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { versionReport } from '../../src/contract/endpoints/vehicles/report-versions.ts';
import { json, startBackend } from './support.ts';
import { bearer, startSigned, TestVehicle, VIN } from './trust-support.ts';

const report = {
  vin: 'V1',
  outcome: 'SUCCESS',
  campaign: 'c',
  reason: 'r',
  ecus: [{ name: 'EDT', hardwareId: 'h', from: '1', version: '2', sha256: 'a'.repeat(64) }],
};

/** A valid report with something else somewhere in it. */
const bentReport = fc
  .tuple(
    fc.constantFrom('vin', 'outcome', 'campaign', 'reason', 'ecus', 'ecu.name', 'ecu.version'),
    fc.oneof(
      fc.jsonValue({ maxDepth: 3 }),
      fc.string({ unit: 'binary' }),
      fc.constant('__proto__'),
    ),
  )
  .map(([field, value]) => {
    const copy = structuredClone(report) as Record<string, unknown>;
    if (field.startsWith('ecu.')) {
      (copy.ecus as Record<string, unknown>[])[0]![field.slice(4)] = value;
    } else copy[field] = value;
    return copy;
  });

it('the report schema decides about any JSON without throwing', () => {
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), bentReport), (value) => {
      const parsed = versionReport.safeParse(value);
      if (parsed.success) expect(parsed.data.ecus.length).toBeLessThanOrEqual(64);
    }),
    { numRuns: 3000 },
  );
});

it('the server answers any body and query with a 2xx or 4xx, and goes on', async () => {
  const backend = await startBackend();
  const admin = await backend.login();
  const target = fc.constantFrom('/report_versions', '/login', '/logout', '/upload');
  const body = fc.oneof(
    fc.json(),
    bentReport.map((value) => JSON.stringify(value)),
    fc.string({ unit: 'binary' }),
    fc.json().map((text) => text.slice(0, -1)),
    fc.constant('['.repeat(20_000)),
  );
  const type = fc.constantFrom(
    'application/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=b',
    'text/plain',
  );
  await fc.assert(
    fc.asyncProperty(target, body, type, fc.boolean(), async (path, text, contentType, known) => {
      const reply = await (known ? admin : backend).request(path, {
        method: 'POST',
        headers: { 'Content-Type': contentType, 'X-CSRF-Token': 'x' },
        body: text,
      });
      expect(reply.status).toBeGreaterThanOrEqual(200);
      expect(reply.status).toBeLessThan(500);
    }),
    { numRuns: 250 },
  );
  const query = fc.oneof(
    fc.webQueryParameters(),
    fc.string({ unit: 'binary' }).map((text) => `vin=${encodeURIComponent(text)}`),
    fc.stringMatching(/^[!-"$-~]{0,40}$/),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('/latest_version', '/get_nonce', '/ota_download/x', '/audit', '/vehicles'),
      query,
      async (path, text) => {
        const reply = await admin.request(`${path}?${text}`);
        expect(reply.status).toBeLessThan(500);
      },
    ),
    { numRuns: 250 },
  );
  expect(backend.log.filter((line) => line.includes('unexpectedly'))).toEqual([]);
  expect((await backend.request('/report_versions', json(report))).status).toBe(204);
});

it('so does the Director, the registry and the image repository', async () => {
  const backend = await startSigned();
  const vehicle = await TestVehicle.provisioned(backend);
  const manifest = vehicle.manifest();
  const good: Record<string, Record<string, unknown>> = {
    '/vehicle/checkin': {
      vin: VIN,
      manifest,
      telemetry: { daemonUptimeS: 1, supplyV: 12.4, buses: [] },
      nonces: [],
    },
    '/vehicle/time': { nonces: ['00'.repeat(16)] },
    '/auth/challenge': {
      serial: vehicle.primary.serial,
      hw_id: vehicle.primary.hwId,
      clientNonce: '00'.repeat(16),
    },
    '/auth/response': { challenge: 'a.b', clientProof: 'c' },
    '/provision': { hw_id: 'x', vin: 'OTHER-1', signing_key: '00'.repeat(32) },
    '/provision/activate': { hw_id: vehicle.primary.hwId },
    '/metadata/targets': JSON.parse(Buffer.from(await backend.ceremony.signTargets()).toString()),
    '/metadata/root': {},
    '/director/metadata/root': {},
  };
  const bent = fc
    .tuple(
      fc.constantFrom(...Object.keys(good)),
      fc.integer({ min: 0, max: 3 }),
      fc.oneof(
        fc.jsonValue({ maxDepth: 3 }),
        fc.constant('__proto__'),
        fc.constant('0'.repeat(64)),
      ),
      fc.nat(),
    )
    .map(([path, depth, value, pick]) => {
      const copy = structuredClone(good[path]!);
      let at: Record<string, unknown> = copy;
      for (let level = 0; ; level++) {
        const keys = Object.keys(at);
        const key = keys[pick % Math.max(1, keys.length)] ?? 'new';
        const next = at[key];
        if (level === depth || typeof next !== 'object' || next === null) {
          at[key] = value;
          return [path, JSON.stringify(copy)] as const;
        }
        at = next as Record<string, unknown>;
      }
    });
  const token = fc.constantFrom(vehicle.token, backend.factory, backend.releaser, 'x');
  await fc.assert(
    fc.asyncProperty(bent, token, async ([path, body], bearerToken) => {
      const reply = await backend.request(path, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', ...bearer(bearerToken) },
        body,
      });
      expect([path, body, reply.status]).toEqual([path, body, expect.toSatisfy((s) => s < 500)]);
    }),
    { numRuns: 300 },
  );
  expect(backend.log.filter((line) => line.includes('unexpectedly'))).toEqual([]);
  expect((await vehicle.checkin()).text).toContain('"status":"up-to-date"');
});
