// Images pass through, they are not held: the server's memory does not grow with what it carries.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import http from 'node:http';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it, onTestFinished } from 'vitest';
import { cookieOf, json, PASSWORD, request, temporaryFolder } from './support.ts';

const MIB = 1024 * 1024;
const IMAGE_MIB = 256;
/** Buffers of sockets and files, and garbage that nobody had reason to collect yet. */
const ALLOWED_GROWTH_MIB = 96;

it(`carries ${IMAGE_MIB} MiB in and out without holding them`, async () => {
  const child = spawn(
    process.execPath,
    [path.join(import.meta.dirname, 'memory-child.ts'), await temporaryFolder(), PASSWORD],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  onTestFinished(async () => {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.stdin.end();
    await gone;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const nextNumber = async (): Promise<number> => Number((await lines.next()).value);
  const peakMib = async (): Promise<number> => {
    child.stdin.write('\n');
    return (await nextNumber()) / 1024;
  };
  const port = await nextNumber();
  const login = await request(port, '/login', json({ name: 'anna', password: PASSWORD }));
  const before = await peakMib();

  const chunk = Buffer.alloc(MIB, 'firmware');
  const expected = createHash('sha256');
  for (let index = 0; index < IMAGE_MIB; index++) expected.update(chunk);
  const sha256 = expected.digest('hex');

  const release = await upload(port, chunk, {
    Cookie: cookieOf(login),
    'X-CSRF-Token': login.json.csrfToken,
  });
  expect(release).toMatchObject({ size: IMAGE_MIB * MIB, sha256 });
  const afterUpload = await peakMib();

  const { nonce } = (await request(port, '/get_nonce')).json;
  expect(await download(port, `/ota_download/${release.file}?nonce=${nonce}`)).toBe(sha256);
  const afterDownload = await peakMib();
  expect(afterUpload - before).toBeLessThan(ALLOWED_GROWTH_MIB);
  expect(afterDownload - before).toBeLessThan(ALLOWED_GROWTH_MIB);
});

async function upload(
  port: number,
  chunk: Buffer,
  headers: Record<string, string>,
): Promise<{ file: string; size: number; sha256: string }> {
  const outgoing = http.request({
    host: '127.0.0.1',
    port,
    path: '/upload',
    method: 'POST',
    agent: false,
    headers: { ...headers, 'Content-Type': 'multipart/form-data; boundary=b' },
  });
  const answered = new Promise<string>((resolve, reject) => {
    outgoing.on('error', reject);
    outgoing.on('response', async (response) => {
      let text = '';
      for await (const part of response) text += part;
      resolve(text);
    });
  });
  const field = (name: string, rest: string) =>
    `--b\r\nContent-Disposition: form-data; name="${name}"${rest}`;
  outgoing.write(field('ecu', '\r\n\r\nEDT\r\n') + field('version', '\r\n\r\n1\r\n'));
  outgoing.write(field('file', '; filename="x.bin"\r\n\r\n'));
  for (let index = 0; index < IMAGE_MIB; index++) {
    if (!outgoing.write(chunk)) await new Promise((resolve) => outgoing.once('drain', resolve));
  }
  outgoing.end('\r\n--b--\r\n');
  return JSON.parse(await answered);
}

function download(port: number, target: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const hash = createHash('sha256');
    http
      .get({ host: '127.0.0.1', port, path: target, agent: false }, (response) => {
        response.on('data', (part: Buffer) => hash.update(part));
        response.on('error', reject);
        response.on('end', () => resolve(hash.digest('hex')));
      })
      .on('error', reject);
  });
}
