// A vehicle takes the answer of another make of backend that says what is needed and no more, or more than is known.

import { describe, expect, it } from 'vitest';
import { checkin } from '../../src/contract/endpoints/director/checkin.ts';
import { challenge } from '../../src/contract/endpoints/registry/challenge.ts';
import { latestVersion } from '../../src/contract/endpoints/vehicles/latest-version.ts';
import { getNonce } from '../../src/contract/endpoints/vehicles/nonce.ts';

const release = { ecu: 'EDT', version: '2.1.0', file: 'edt.bin', size: 9, sha256: 'ab'.repeat(32) };

describe('an answer with what is needed', () => {
  it.each([
    ['releases', latestVersion, { releases: [release] }],
    ['a nonce of another form', getNonce, { nonce: 'Zm9vYmFyYmF6cXV4eA' }],
    ['a check-in', checkin, { time: null }],
    [
      'a challenge',
      challenge,
      { challenge: 'c', serverNonce: 'ab'.repeat(16), serverProof: 'x', expiresAt: '' },
    ],
  ])('is taken: %s', (_what, endpoint, answer) => {
    expect(endpoint.response.body.safeParse(answer).success).toBe(true);
    expect(endpoint.response.body.safeParse({ ...answer, news: 'x' }).success).toBe(true);
  });

  it.each([
    ['releases', latestVersion, { releases: [{ ...release, sha256: 'x' }] }],
    ['a nonce', getNonce, { nonce: 'short' }],
    ['a check-in', checkin, {}],
  ])('is refused where that is wrong: %s', (_what, endpoint, answer) => {
    expect(endpoint.response.body.safeParse(answer).success).toBe(false);
  });
});
