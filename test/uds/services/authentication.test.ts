// Authentication (29).

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromHex } from '../../../src/core/bytes.ts';
import { isMalformed } from '../../../src/uds/codec.ts';
import * as service from '../../../src/uds/services/authentication.ts';
import { checkRobustness, hex } from './codec-properties.ts';

const suppress = false;
const algorithm = '06 09 60 86 48 01 65 03 04 02 01 00 00 00 00 00';
const algorithmIndicator = fromHex(algorithm);

const requests: [string, service.Request][] = [
  ['29 00', { task: 'deAuthenticate', suppress }],
  [
    '29 01 00 00 03 C1 C2 C3 00 00',
    {
      task: 'verifyCertificateUnidirectional',
      suppress,
      communicationConfiguration: 0,
      certificateClient: fromHex('C1 C2 C3'),
      challengeClient: fromHex(''),
    },
  ],
  [
    '29 02 00 00 01 C1 00 02 AA BB',
    {
      task: 'verifyCertificateBidirectional',
      suppress,
      communicationConfiguration: 0,
      certificateClient: fromHex('C1'),
      challengeClient: fromHex('AA BB'),
    },
  ],
  [
    '29 03 00 02 0F 0E 00 00',
    {
      task: 'proofOfOwnership',
      suppress,
      proofOfOwnershipClient: fromHex('0F 0E'),
      ephemeralPublicKeyClient: fromHex(''),
    },
  ],
  [
    '29 04 12 34 00 01 C5',
    {
      task: 'transmitCertificate',
      suppress,
      certificateEvaluationId: 0x1234,
      certificateData: fromHex('C5'),
    },
  ],
  [
    `29 05 01 ${algorithm}`,
    {
      task: 'requestChallengeForAuthentication',
      suppress,
      communicationConfiguration: 1,
      algorithmIndicator,
    },
  ],
  [
    `29 06 ${algorithm} 00 01 77 00 00 00 00`,
    {
      task: 'verifyProofOfOwnershipUnidirectional',
      suppress,
      algorithmIndicator,
      proofOfOwnershipClient: fromHex('77'),
      challengeClient: fromHex(''),
      additionalParameter: fromHex(''),
    },
  ],
  [
    `29 07 ${algorithm} 00 01 77 00 01 88 00 02 01 02`,
    {
      task: 'verifyProofOfOwnershipBidirectional',
      suppress,
      algorithmIndicator,
      proofOfOwnershipClient: fromHex('77'),
      challengeClient: fromHex('88'),
      additionalParameter: fromHex('01 02'),
    },
  ],
  ['29 08', { task: 'authenticationConfiguration', suppress }],
];

const responses: [string, service.Response][] = [
  ['69 00 10', { task: 'deAuthenticate', returnParameter: 0x10 }],
  [
    '69 01 11 00 02 0C 0D 00 00',
    {
      task: 'verifyCertificateUnidirectional',
      returnParameter: 0x11,
      challengeServer: fromHex('0C 0D'),
      ephemeralPublicKeyServer: fromHex(''),
    },
  ],
  [
    '69 02 11 00 01 0C 00 01 CE 00 01 0F 00 00',
    {
      task: 'verifyCertificateBidirectional',
      returnParameter: 0x11,
      challengeServer: fromHex('0C'),
      certificateServer: fromHex('CE'),
      proofOfOwnershipServer: fromHex('0F'),
      ephemeralPublicKeyServer: fromHex(''),
    },
  ],
  [
    '69 03 12 00 00',
    { task: 'proofOfOwnership', returnParameter: 0x12, sessionKeyInfo: fromHex('') },
  ],
  ['69 04 13', { task: 'transmitCertificate', returnParameter: 0x13 }],
  [
    `69 05 00 ${algorithm} 00 01 0C 00 00`,
    {
      task: 'requestChallengeForAuthentication',
      returnParameter: 0,
      algorithmIndicator,
      challengeServer: fromHex('0C'),
      neededAdditionalParameter: fromHex(''),
    },
  ],
  [
    `69 06 12 ${algorithm} 00 00`,
    {
      task: 'verifyProofOfOwnershipUnidirectional',
      returnParameter: 0x12,
      algorithmIndicator,
      sessionKeyInfo: fromHex(''),
    },
  ],
  [
    `69 07 12 ${algorithm} 00 01 0F 00 02 05 06`,
    {
      task: 'verifyProofOfOwnershipBidirectional',
      returnParameter: 0x12,
      algorithmIndicator,
      proofOfOwnershipServer: fromHex('0F'),
      sessionKeyInfo: fromHex('05 06'),
    },
  ],
  ['69 08 02', { task: 'authenticationConfiguration', returnParameter: 2 }],
];

describe('requests', () => {
  test.each(requests)('%s', (text, request) => {
    expect(hex(service.encodeRequest(request))).toBe(text);
    expect(service.decodeRequest(fromHex(text))).toEqual(request);
    const longer = fromHex(`${text} 00`);
    expect(service.decodeRequest(longer)).toBe(0x13);
    const shorter = fromHex(text).subarray(0, -1);
    expect(service.decodeRequest(shorter)).toBe(0x13);
  });
});

describe('responses', () => {
  test.each(responses)('%s', (text, response) => {
    expect(hex(service.encodeResponse(response))).toBe(text);
    expect(service.decodeResponse(fromHex(text))).toEqual(response);
    expect(isMalformed(service.decodeResponse(fromHex(`${text} 00`)))).toBe(true);
    expect(isMalformed(service.decodeResponse(fromHex(text).subarray(0, -1)))).toBe(true);
  });
});

test('reserved tasks are 0x12', () => {
  expect(service.decodeRequest(fromHex('29 09'))).toBe(0x12);
});

test('a bidirectional check without challenge is 0x13, and a mistake of ours', () => {
  expect(service.decodeRequest(fromHex('29 02 00 00 01 C1 00 00'))).toBe(0x13);
  expect(() =>
    service.encodeRequest({
      task: 'verifyCertificateBidirectional',
      suppress,
      communicationConfiguration: 0,
      certificateClient: fromHex('C1'),
      challengeClient: fromHex(''),
    }),
  ).toThrow(RangeError);
});

test('round trip of certificates of any length', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 3000 }), fc.uint8Array(), (one, two) => {
      const request: service.Request = {
        task: 'verifyCertificateUnidirectional',
        suppress: true,
        communicationConfiguration: 5,
        certificateClient: one,
        challengeClient: two,
      };
      expect(service.decodeRequest(service.encodeRequest(request))).toEqual(request);
    }),
    { numRuns: 30 },
  );
});

test('no bytes make it throw', () => checkRobustness({ sid: 0x29, ...service }));
