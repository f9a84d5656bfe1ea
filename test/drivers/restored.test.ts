// The end of a programming: an ECU that does not answer to its way back is mentioned, unless a reset has ended its session.

import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/core/logger.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import { CAMPAIGN } from '../support/ecu-bench.ts';
import { type Answer, ecuOf, imageOf, ScriptedEcu } from './support.ts';

const image = imageOf(Uint8Array.of(1, 2, 3, 4));
const target = { campaign: CAMPAIGN, version: undefined, image };
const PLAIN = {
  ...{ identify: 'skip', controlDtcSetting: 'skip', communicationControl: 'skip' },
  ...{ preconditions: 'skip', fingerprint: 'skip', metadata: 'skip', erase: 'skip' },
  ...{ checkMemory: 'skip', dependencies: 'skip' },
};

async function run(activation: 'reset' | 'bank', answers: Record<string, Answer | Answer[]>) {
  const ecu = new ScriptedEcu({
    ...{ '1002': '5002003201F4', '1003': '5003003201F4', '1001': 'silent', '1101': '5101' },
    ...{ '34': '7420000A', '3601': '7601', '37': '77', '190209': '5902FF' },
    ...{ '22F186': '62F18601', '22FD00': '62FD000000000000', '22FD01': '7F2231' },
    ...answers,
  });
  const logged: string[] = [];
  const driver = new UdsEcuDriver({
    ecu: ecuOf({
      programming: { ...PLAIN, activation },
      ...{ security: { algorithm: 'none' }, memory: { bankSize: 4096, banks: 2 } },
      ...(activation === 'reset' ? { memory: { bankSize: 4096, banks: 1 } } : {}),
    }),
    ...{ requester: ecu, clock: ecu.clock },
    logger: { ...silentLogger, warn: (_fields, text) => logged.push(text) },
  });
  const work = activation === 'bank' ? driver.stage(target) : driver.activate(target);
  const done = await ecu.clock.within(600_000, work);
  return { done, warnings: done.ok ? done.warnings.join('\n') : '', ecu, logged };
}

const LEFT = 'while leaving the programming session';

describe('an ECU that is silent at the end', () => {
  it('of its staging is mentioned', async () => {
    const { done, warnings } = await run('bank', {});
    expect(done).toMatchObject({ ok: true });
    expect(warnings).toContain(LEFT);
  });

  it('of a programming that ended with its reset is not', async () => {
    const { done, warnings } = await run('reset', {});
    expect(done).toMatchObject({ ok: true });
    expect(warnings).not.toContain(LEFT);
  });

  it('and answers is not either', async () => {
    const { warnings } = await run('bank', { '1001': '5001003201F4' });
    expect(warnings).not.toContain(LEFT);
  });

  it('is asked to leave also after a failure, with its session no longer kept', async () => {
    const { done, ecu, logged } = await run('bank', { '34': '7F3470' });
    expect(done).toMatchObject({ ok: false, code: 'REFUSED' });
    expect(ecu.log.at(-1)).toBe('1001');
    expect(ecu.keptAlive).toBe(false);
    expect(logged.join('\n')).toContain(LEFT);
  });
});
