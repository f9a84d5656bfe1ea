// ReadDTCInformation (19).

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromHex } from '../../../src/core/bytes.ts';
import { isMalformed } from '../../../src/uds/codec.ts';
import * as service from '../../../src/uds/services/read-dtc-information.ts';
import { checkRobustness, hex } from './codec-properties.ts';

const requests: [string, service.RequestInput][] = [
  ['19 01 08', { report: 'reportNumberOfDtcByStatusMask', statusMask: 0x08 }],
  ['19 02 84', { report: 'reportDtcByStatusMask', statusMask: 0x84 }],
  ['19 03', { report: 'reportDtcSnapshotIdentification' }],
  [
    '19 04 12 34 56 02',
    { report: 'reportDtcSnapshotRecordByDtcNumber', dtc: 0x123456, recordNumber: 2 },
  ],
  [
    '19 06 12 34 56 05',
    { report: 'reportDtcExtDataRecordByDtcNumber', dtc: 0x123456, recordNumber: 5 },
  ],
  ['19 0A', { report: 'reportSupportedDtc' }],
  ['19 14', { report: 'raw', subFunction: 0x14, data: fromHex('') }],
  ['19 08 E0 10', { report: 'raw', subFunction: 0x08, data: fromHex('E010') }],
];

const responses: [string, service.Response][] = [
  [
    '59 01 2F 01 00 01',
    { report: 'reportNumberOfDtcByStatusMask', availabilityMask: 0x2f, format: 1, count: 1 },
  ],
  [
    '59 02 7F 0A 9B 17 24 08 05 11 2F',
    {
      report: 'reportDtcByStatusMask',
      availabilityMask: 0x7f,
      dtcs: [
        { dtc: 0x0a9b17, status: 0x24 },
        { dtc: 0x080511, status: 0x2f },
      ],
    },
  ],
  [
    '59 03 12 34 56 01 12 34 56 02 78 9A BC 01',
    {
      report: 'reportDtcSnapshotIdentification',
      records: [
        { dtc: 0x123456, recordNumber: 1 },
        { dtc: 0x123456, recordNumber: 2 },
        { dtc: 0x789abc, recordNumber: 1 },
      ],
    },
  ],
  [
    '59 04 12 34 56 24 02 01 47 11 A6 66 07 50 20',
    {
      report: 'reportDtcSnapshotRecordByDtcNumber',
      dtc: 0x123456,
      status: 0x24,
      data: fromHex('02 01 47 11 A6 66 07 50 20'),
    },
  ],
  [
    '59 06 12 34 56 24 05 79',
    {
      report: 'reportDtcExtDataRecordByDtcNumber',
      dtc: 0x123456,
      status: 0x24,
      data: fromHex('05 79'),
    },
  ],
  ['59 0A 7F', { report: 'reportSupportedDtc', availabilityMask: 0x7f, dtcs: [] }],
];

test.each(requests)('request %s', (text, request) => {
  expect(hex(service.encodeRequest(request))).toBe(text);
  expect(service.decodeRequest(fromHex(text))).toEqual({ ...request, suppress: false });
});

test.each(responses)('response %s, as in the examples of the standard', (text, response) => {
  expect(hex(service.encodeResponse(response))).toBe(text);
  expect(service.decodeResponse(fromHex(text))).toEqual(response);
});

test.each(['19', '19 01', '19 01 08 00', '19 03 00', '19 04 12 34 56', '19 0A 00'])(
  '%s has the wrong length',
  (text) => {
    expect(service.decodeRequest(fromHex(text))).toBe(0x13);
  },
);

test.each(['59', '59 01 2F 01 00', '59 02', '59 02 7F 0A 9B 17', '59 04 12 34 56'])(
  '%s is malformed',
  (text) => {
    expect(isMalformed(service.decodeResponse(fromHex(text)))).toBe(true);
  },
);

test('snapshot records need the lengths of their DIDs', () => {
  const data = fromHex('02 01 47 11 A6 66 07 50 20 03 01 47 11 00 00 00 00 00');
  expect(service.decodeSnapshotRecords(data, () => 5)).toEqual([
    { recordNumber: 2, records: [{ did: 0x4711, data: fromHex('A6 66 07 50 20') }] },
    { recordNumber: 3, records: [{ did: 0x4711, data: fromHex('00 00 00 00 00') }] },
  ]);
  expect(service.decodeSnapshotRecords(data, () => undefined)).toHaveProperty('malformed');
  expect(service.decodeSnapshotRecords(data, () => 6)).toHaveProperty('malformed');
});

test('round trip of DTC lists', () => {
  const one = fc.record({
    dtc: fc.integer({ min: 0, max: 0xffffff }),
    status: fc.integer({ min: 0, max: 255 }),
  });
  fc.assert(
    fc.property(fc.array(one), (dtcs) => {
      const response = { report: 'reportDtcByStatusMask', availabilityMask: 0x2f, dtcs } as const;
      expect(service.decodeResponse(service.encodeResponse(response))).toEqual(response);
    }),
  );
});

test('no bytes make it throw', () => checkRobustness({ sid: 0x19, ...service }));
