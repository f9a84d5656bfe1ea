// What the boot decision says of a trial: which boot it is, of how many.

import { expect, it } from 'vitest';
import {
  activate,
  BLANK_RECORD,
  decideBoot,
  withBank,
} from '../../ecus/bootloader/boot/boot-record.ts';

it('counts the boots of a trial up', () => {
  const valid = (version: string, proven: boolean, sha256: string) =>
    ({ content: 'valid', version, length: 1, sha256, proven, campaign: null }) as const;
  const [factory, next] = ['ab'.repeat(32), 'cd'.repeat(32)];
  const old = withBank(BLANK_RECORD, 0, valid('1.0.0', true, factory));
  const order = { campaign: 'ca'.repeat(16), sha256: next, receipt: 'aa'.repeat(16) };
  let record = activate(order)(withBank(old, 1, valid('2.0.0', false, next)))!;
  const reasons: string[] = [];
  for (let boot = 0; boot < 4; boot++) {
    const decision = decideBoot(record, 3);
    reasons.push(decision.reason);
    record = decision.record;
  }
  expect(reasons).toEqual([
    'bank B was activated: trial boot 1 of 3',
    'trial boot 2 of 3',
    'trial boot 3 of 3',
    'fell back: the trial was not confirmed',
  ]);
});
