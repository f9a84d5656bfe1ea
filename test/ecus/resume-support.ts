// Images and downloads for the tests of what goes on after an interruption.

import { expect } from 'vitest';
import { concatBytes, toHex } from '../../src/core/bytes.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';
import { benchEcuIdentity } from '../../src/trust/bench-keys.ts';
import { ENCRYPTION_METHOD, encryptImage } from '../../src/trust/image-encryption.ts';
import { decodeResumeState, type ResumeState } from '../../src/uds/resume-state.ts';
import {
  BANK_ADDRESS,
  checkRequest,
  digestOf,
  downloadRequest,
  type EcuBench,
  fileName,
  imageOf,
  type Release,
  releaseOf,
} from '../support/ecu-bench.ts';

export const image = imageOf(14_000);
export const options = { checkpointBytes: 4096 };
export const BLOCK = 1000;

/** What travels, and what is signed about it. */
export interface Load {
  readonly image: Uint8Array;
  readonly wire: Uint8Array;
  readonly release: Release;
  readonly format: number;
}

export const plain: Load = { image, wire: image, release: releaseOf(image, '2.0.0'), format: 0 };

export function encryptedLoad(seed = 1): Load {
  const serial = 'BENCH-EDT';
  const { sha256, length } = plain.release;
  const name = fileName(plain.release);
  const recipient = benchEcuIdentity(serial).encryption.publicKey;
  const cipher = encryptImage({ recipient, serial, name, sha256, length }, seededRandom(seed));
  const wire = concatBytes(cipher.header, cipher.update(image), cipher.finish());
  const encryption = {
    file: `${name}.enc`,
    length: wire.length,
    sha256: toHex(digestOf(wire)),
    method: ENCRYPTION_METHOD,
  } as const;
  return { image, wire, release: { ...plain.release, encryption }, format: 1 };
}
export const encrypted = encryptedLoad();

export function block(wire: Uint8Array, from: number, counter: number): Uint8Array {
  return concatBytes(Uint8Array.of(0x36, counter), wire.subarray(from, from + BLOCK));
}

export async function sendFrom(bench: EcuBench, wire: Uint8Array, from: number, to = wire.length) {
  for (let at = from, counter = 1; at < to; at += BLOCK, counter++) {
    await bench.expect(block(wire, at, counter));
  }
}

export async function fd03(bench: EcuBench): Promise<ResumeState | undefined> {
  const answer = await bench.ask('22FD03');
  if (answer === '7F2231') return undefined;
  return decodeResumeState(Uint8Array.from(Buffer.from(answer.slice(6), 'hex')));
}

export function rest(load: Load, received: number): Uint8Array {
  return downloadRequest(load.image.length - received, BANK_ADDRESS + received, load.format);
}

/** Metadata, and then as a driver does it: behind what is there, or anew. Tells where it began. */
export async function bring(bench: EcuBench, load: Load): Promise<number> {
  await bench.prepare();
  await bench.sendMetadata(load.release);
  const state = await fd03(bench);
  const from = state?.carried ?? 0;
  if (state === undefined) {
    await bench.expect('3101FF00');
    await bench.expect(rest(load, 0));
  } else {
    await bench.expect(rest(load, state.received));
  }
  await sendFrom(bench, load.wire, from);
  await bench.expect('37');
  expect(await bench.ask(checkRequest(load.image))).toBe('7101020200');
  return from;
}

/** The first `bytes` of the download of a new ECU. */
export async function begin(bench: EcuBench, load: Load, bytes: number): Promise<void> {
  await bench.prepare();
  await bench.sendMetadata(load.release);
  await bench.expect('3101FF00');
  await bench.expect(rest(load, 0));
  await sendFrom(bench, load.wire, 0, bytes);
}
