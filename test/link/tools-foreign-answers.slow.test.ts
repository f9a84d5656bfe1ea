// What is on the way answers in place of the backend: every tool says so, whatever it asked for, and believes nothing of it.

import { writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { HttpRegistry } from '../../src/factory/registry.ts';
import { BackendError } from '../../src/link/backend-connection.ts';
import { networkOf } from '../../src/link/network.ts';
import { OperatorBackend } from '../../src/link/operator-backend.ts';
import { ReleaseBackend } from '../../src/signing/release-backend.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { temporaryFolder } from '../server/support.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const PAGE = '<!doctype html><title>Welcome to the hotel</title>';

interface Wrong {
  readonly status: number;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: string | Buffer;
  /** The connection ends in the middle of the body. */
  readonly cut?: true;
}

/** What is said of it. */
const WRONG: Readonly<Record<string, readonly [Wrong, RegExp]>> = {
  'a page of a captive portal': [
    { status: 200, headers: { 'content-type': 'text/html' }, body: PAGE },
    /answered 200, its type is "text\/html"; check --server/,
  ],
  'a page that calls itself JSON': [
    { status: 200, headers: JSON_TYPE, body: PAGE },
    /no (signed )?JSON( object)?: "<!doctype/,
  ],
  'the way to a log-in page': [
    { status: 302, headers: { location: 'http://portal.hotel/login' } },
    /answered 302, it points to .*portal\.hotel\/login.*if a network wants its terms accepted/,
  ],
  'nothing with 200': [{ status: 200 }, /no (signed )?JSON( object)?: nothing/],
  'nothing with 204': [{ status: 204 }, /answered 204, nothing was asked that it answers/],
  'JSON that is compressed unasked': [
    { status: 200, headers: { ...JSON_TYPE, 'content-encoding': 'gzip' }, body: gzipSync('{}') },
    /it is compressed \("gzip"\), which was not asked for/,
  ],
  'JSON of something else': [
    { status: 200, headers: JSON_TYPE, body: '{"hello":"world"}' },
    /does not come from a can-ota server|no signed JSON object/,
  ],
  'JSON without its end': [
    { status: 200, headers: JSON_TYPE, body: '{"created":true,"file":"x' },
    /no (signed )?JSON( object)?: "\{/,
  ],
  'a body that is cut': [{ status: 200, headers: JSON_TYPE, body: '{"a":1', cut: true }, /was cut/],
  'a refusal of a proxy': [
    { status: 403, headers: { 'content-type': 'text/html' }, body: '<h1>Blocked</h1>' },
    /answered 403, a refusal of type "text\/html"/,
  ],
  'a log-in that a proxy wants': [
    { status: 401, headers: JSON_TYPE, body: '{"error":"auth"}' },
    /401/,
  ],
  'a place that another server does not know': [
    { status: 404, headers: JSON_TYPE, body: '{"code":"NOT_FOUND","detail":"no such page"}' },
    /answered 404, a refusal of type "application\/json"/,
  ],
  'a conflict of another server': [
    { status: 409, headers: JSON_TYPE, body: '{"code":"NO_CAMPAIGN","detail":"x"}' },
    /answered 409/,
  ],
  'a gateway whose server is away': [
    { status: 502, headers: { 'content-type': 'text/html' }, body: 'Bad Gateway' },
    /answered 502/,
  ],
};

async function serve({ status, headers = {}, body = '', cut }: Wrong): Promise<string> {
  const server = http.createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      const more = cut === true ? { 'content-length': body.length + 10 } : {};
      response.writeHead(status, { ...headers, ...more });
      if (cut !== true) return response.end(body);
      return response.write(body, () => response.destroy());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const VIN = 'WVWZZZ1JZXW000001';
type Ask = (backends: {
  readonly release: ReleaseBackend;
  readonly operator: OperatorBackend;
  readonly logIn: () => Promise<unknown>;
  readonly image: string;
}) => Promise<unknown>;

/** The questions of each family of commands. */
const ASKED: Readonly<Record<string, Ask>> = {
  'log-in with a password': ({ logIn }) => logIn(),
  'release add, push: image': ({ release, image }) =>
    release.uploadImage({
      ecu: 'EDT',
      version: '1',
      notes: '',
      payload: new Blob([image]),
      name: 'x.bin',
    }),
  'release add, push: metadata': ({ release }) =>
    release.uploadMetadata('/metadata/targets', Buffer.from('{}')),
  'release pull, keys pull': ({ release }) => release.read('/metadata/root.json'),
  'release withdraw-device': ({ release }) =>
    release.withdrawPackage({ model: 'M', version: '1', profile: 'default', reason: 'x' }),
  'campaign cancel': ({ release }) => release.cancelCampaign(VIN, 'x'),
  'campaign cancel --wait': ({ release }) => release.cancelOrders(VIN),
  'campaign ask-again': ({ release }) => release.askAgain(VIN, 'x'),
  'config show': ({ operator }) => operator.configuration(VIN),
  'config set': ({ operator }) => operator.configure(VIN, { parameters: {}, expected: 1 }),
  'command list': ({ operator }) => operator.commands(VIN, { limit: 1 }),
  'command cancel': ({ operator }) => operator.cancel(VIN, 'c1'),
  'telemetry show': ({ operator }) => operator.telemetry(VIN, { limit: 1 }),
};

describe.each(Object.entries(WRONG))('%s', (_name, [wrong, said]) => {
  it.each(Object.entries(ASKED))('is no answer to %s', async (_asked, ask) => {
    const url = await serve(wrong);
    const { fetch } = await networkOf({}, url);
    const options = { url, clock: systemClock, signal: new AbortController().signal, fetch };
    const token = { kind: 'token', token: 'cot-x' } as const;
    const image = path.join(await temporaryFolder(), 'x.bin');
    await writeFile(image, 'image');
    const asked = ask({
      release: await ReleaseBackend.logIn(options, token),
      operator: await OperatorBackend.logIn(options, token),
      logIn: () => ReleaseBackend.logIn(options, { kind: 'password', user: 'anna', password: 'x' }),
      image,
    });
    const error: unknown = await asked.then(
      (value) => new Error(`it was believed: ${JSON.stringify(value)}`),
      (thrown) => thrown,
    );
    expect(error).toBeInstanceOf(BackendError);
    const { code, message } = error as BackendError;
    expect(message).toMatch(said);
    if (wrong.cut === true) expect(code).toBe('UNREACHABLE');
    else {
      expect(code).toBe('FOREIGN_ANSWER');
      expect(message).toMatch(/^the answer to the .* is not from a can-ota backend: /);
    }
  });

  it('is no answer to provision and device enroll', async () => {
    const url = await serve(wrong);
    const { fetch } = await networkOf({}, url);
    const clock = new VirtualClock();
    const registry = new HttpRegistry({
      ...{ server: url, token: 'cot-x', clock, random: seededRandom('r'), fetch },
    });
    for (const asked of [registry.provision({ hwId: 'chip' }), registry.activate('chip')]) {
      const pending = { done: false };
      const answer = asked.finally(() => {
        pending.done = true;
      });
      // The pauses between the tries pass as soon as they begin.
      while (!pending.done) {
        await new Promise(setImmediate);
        await clock.advance(100);
      }
      expect(await answer).toMatchObject({
        ok: false,
        code: wrong.cut === true ? 'UNREACHABLE' : 'FOREIGN_ANSWER',
        reason: expect.stringMatching(said),
      });
    }
  });
});
