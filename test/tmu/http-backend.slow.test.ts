// The HTTP client with any JSON as answer, and with the backend of this project. Loopback only.

import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { systemRandom } from '../../src/core/random.ts';
import { downloadImage } from '../../src/tmu/download.ts';
import { HttpBackend } from '../../src/tmu/http-backend.ts';
import { startBackend } from '../server/support.ts';
import { release, serve, store, VIN } from './http-backend-support.ts';
import { bytesOf } from './support.ts';

describe('the latest version', () => {
  it('as any JSON is a value, never a throw', async () => {
    let body = '';
    const { backend } = await serve((_request, response) => response.end(body));
    const mutated = fc.oneof(
      fc.json(),
      fc.string(),
      fc.tuple(fc.nat(200), fc.string({ maxLength: 3 })).map(([at, text]) => {
        const whole = JSON.stringify({ releases: [release] });
        return whole.slice(0, at % whole.length) + text + whole.slice((at % whole.length) + 1);
      }),
    );
    await fc.assert(
      fc.asyncProperty(mutated, async (text) => {
        body = text;
        const answer = await backend.latest([], undefined);
        expect(['releases', 'failed']).toContain(answer.kind);
        const nonce = await backend.nonce();
        expect(['nonce', 'failed']).toContain(nonce.kind);
      }),
      { numRuns: 150, seed: 1 },
    );
  });
});

describe('with the backend of this project', () => {
  it('asks, downloads, resumes, reports', async () => {
    const image = bytesOf(100_000);
    const digest = createHash('sha256').update(image).digest('hex');
    const server = await startBackend();
    const admin = await server.login();
    const uploaded = await admin.upload({
      ecu: 'EDT',
      version: '2.0.0',
      notes: 'first\nline',
      image,
    });
    expect(uploaded.status).toBeLessThan(300);
    const backend = new HttpBackend({ server: server.url, vin: VIN, clock: systemClock });

    const latest = await backend.latest(['EDT', 'INV'], undefined);
    if (latest.kind !== 'releases') throw new Error(JSON.stringify(latest));
    expect(latest.releases).toMatchObject([
      { ecu: 'EDT', version: '2.0.0', size: 100_000, sha256: digest, notes: 'first\nline' },
    ]);
    expect(await backend.latest(['EDT', 'INV'], latest.etag)).toEqual({ kind: 'not-modified' });

    const { storage, images } = await store();
    const found = latest.releases[0]!;
    await storage.replace(`images/${digest}.part`, image.slice(0, 60_000));
    const result = await downloadImage({
      backend,
      images,
      release: found,
      clock: systemClock,
      random: systemRandom,
      signal: new AbortController().signal,
    });
    expect(result).toEqual({ kind: 'done' });
    expect(await storage.read(`images/${digest}.bin`)).toEqual(image);

    const nonce = await backend.nonce();
    if (nonce.kind !== 'nonce') throw new Error('no nonce');
    const whole = await backend.download(found, nonce.nonce, 0);
    if (whole.kind !== 'body') throw new Error(JSON.stringify(whole));
    for await (const _chunk of whole.chunks);
    expect(await backend.download(found, nonce.nonce, 0)).toMatchObject({
      kind: 'failed',
      code: 'HTTP_403',
      transient: true,
      reason: expect.stringContaining('NONCE_USED'),
    });
    // The nonce is a secret: no message may contain it.
    const refusedAgain = await backend.download(found, nonce.nonce, 0);
    expect(refusedAgain.kind === 'failed' && refusedAgain.reason).not.toContain(nonce.nonce);

    const report = {
      vin: VIN,
      outcome: 'SUCCESS',
      campaign: 'ab'.repeat(16),
      ecus: [
        { name: 'EDT', hardwareId: 'EDT-HW', from: '1.0.0', version: '2.0.0', sha256: digest },
      ],
    };
    expect(await backend.report(report)).toEqual({ kind: 'accepted' });
    expect(await backend.report({ ...report, ecus: [{ name: '?', version: '1' }] })).toMatchObject({
      kind: 'failed',
      transient: false,
    });
  });
});
