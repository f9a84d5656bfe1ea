// Bits of statusOfDTC, ISO 14229-1:2020 annex D.2, in their order.

import { expect, it } from 'vitest';
import { DtcStatus } from '../../src/uds/services/read-dtc-information.ts';

it('is one bit each, from testFailed up', () => {
  const names = [
    ...['testFailed', 'testFailedThisOperationCycle', 'pendingDtc', 'confirmedDtc'],
    ...['testNotCompletedSinceLastClear', 'testFailedSinceLastClear'],
    ...['testNotCompletedThisOperationCycle', 'warningIndicatorRequested'],
  ];
  expect(Object.entries(DtcStatus)).toEqual(names.map((name, bit) => [name, 1 << bit]));
});
