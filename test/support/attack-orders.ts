// An ECU in an update that an attacker wants to decide, and what its decision is read from.

import { expect } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { AttackedEcu } from './attack-ecu.ts';
import { checkRequest, digestOf, type EcuBench } from './ecu-bench.ts';

/** 3.0.0 is in EDT: it waits, or runs on trial. */
export async function updating(until: 'staged' | 'trial') {
  const ecu = await AttackedEcu.start('EDT');
  const { bench } = ecu;
  const { image } = ecu.release(ecu.honest, '3.0.0');
  await ecu.unlock();
  expect(await bench.sendFile('metadata.json', await ecu.bundle())).toBe('77');
  await bench.transfer(image);
  expect(await bench.ask(checkRequest(image))).toBe('7101020200');
  if (until === 'trial') {
    await bench.expectOrder('activate');
    await bench.reset();
    expect(await bench.text('F195')).toBe('3.0.0');
    await ecu.unlock();
  }
  return { ecu, bench, sha256: toHex(digestOf(image)) };
}

/** What decides: the boot record, and the counter that nothing lowers. */
export function decided(bench: EcuBench): unknown {
  const counters = Buffer.from(bench.storage.contents('counters')!).toString().split('\n')[0]!;
  const record = toHex(bench.storage.contents('boot-record')!);
  return { record, security: JSON.parse(counters).security };
}
