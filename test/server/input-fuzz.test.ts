// Every way in, with a fixed budget of nonsense: nothing gets a 5xx, nothing stops the server.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { reportBody } from '../../server/routes/input.ts';
import { json, startBackend } from './support.ts';

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
      const parsed = reportBody.safeParse(value);
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
}, 30_000);
