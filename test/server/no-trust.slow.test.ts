// A server without --trust says to a TMU what it is not.

import { expect, it } from 'vitest';
import { InjectedBackend } from './injected-support.ts';
import { json } from './support.ts';

it('a server that signs nothing names --trust where a TMU asks for what is signed', async () => {
  const backend = await InjectedBackend.start({ uptane: undefined as never });
  const asked = [
    ['/vehicle/checkin', json({})],
    ['/vehicle/time', json({ nonces: [] })],
    ['/director/1CANXTABENCH00001/metadata/root.json', {}],
    ['/metadata/1.root.json', {}],
  ] as const;
  for (const [path, init] of asked) {
    const reply = await backend.request(path, init);
    expect([path, reply.status, reply.json.code]).toEqual([path, 404, 'NO_TRUST']);
    expect(reply.json.detail).toContain('--trust');
  }
  const signing = await InjectedBackend.start({});
  expect((await signing.request('/metadata/1.root.json')).status).toBe(200);
});
