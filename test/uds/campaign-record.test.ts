// Options of routines 0210 to 0213 and DID FD25: there and back, and every other length.

import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { decodeBootState, encodeBootState } from '../../src/uds/boot-state.ts';
import {
  decodeActivateOption,
  decodeCampaignRecord,
  decodeEvidenceOption,
  decodeRollbackOption,
  encodeActivateOption,
  encodeCampaignRecord,
  encodeEvidenceOption,
  encodeRollbackOption,
} from '../../src/uds/campaign-record.ts';

const ID = 'ca'.repeat(16);
const COMMITMENT = 'bb'.repeat(16);
const campaign = fromHex(ID);

describe('FD25', () => {
  test.each([
    ['none', '00'],
    ['open', '01'],
    ['confirmed', '02'],
  ] as const)('%s', (state, byte) => {
    const record = { state, campaign, commitment: fromHex(COMMITMENT) };
    const bytes = encodeCampaignRecord(record);
    expect(toHex(bytes)).toBe(`${byte}${ID}${COMMITMENT}`);
    expect(decodeCampaignRecord(bytes)).toEqual(record);
  });

  test.each([
    '',
    '00',
    `03${ID}${COMMITMENT}`,
    `01${ID}${COMMITMENT}00`,
    `01${ID}${COMMITMENT.slice(2)}`,
  ])('%s is none', (hex) => {
    expect(decodeCampaignRecord(fromHex(hex))).toBeUndefined();
  });
});

describe('an option', () => {
  test('of an activation', () => {
    const sha256 = fromHex('cd'.repeat(32));
    const bytes = encodeActivateOption({ campaign, sha256 });
    expect(toHex(bytes)).toBe(`${ID}${'cd'.repeat(32)}`);
    expect(decodeActivateOption(bytes)).toEqual({ campaign, sha256 });
    for (const length of [0, 16, 47, 49]) {
      expect(decodeActivateOption(new Uint8Array(length))).toBeUndefined();
    }
  });

  test('with evidence', () => {
    const evidence = ['11', '22', '33'].map((byte) => fromHex(byte.repeat(16)));
    const bytes = encodeEvidenceOption({ campaign, evidence });
    expect(toHex(bytes)).toBe(`${ID}${'11'.repeat(16)}${'22'.repeat(16)}${'33'.repeat(16)}`);
    expect(decodeEvidenceOption(bytes)).toEqual({ campaign, evidence });
    expect(decodeEvidenceOption(new Uint8Array(32))?.evidence).toHaveLength(1);
    for (const length of [0, 16, 31, 33, 47]) {
      expect(decodeEvidenceOption(new Uint8Array(length))).toBeUndefined();
    }
  });

  test.each([
    [true, '01'],
    [false, '00'],
  ])('of a rollback, even from a confirmed image: %s', (evenConfirmed, byte) => {
    const bytes = encodeRollbackOption({ campaign, evenConfirmed });
    expect(toHex(bytes)).toBe(`${ID}${byte}`);
    expect(decodeRollbackOption(bytes)).toEqual({ campaign, evenConfirmed });
  });

  test.each(['', ID, `${ID}02`, `${ID}0100`, `${ID.slice(2)}01`])(
    '%s is none of a rollback',
    (hex) => {
      expect(decodeRollbackOption(fromHex(hex))).toBeUndefined();
    },
  );
});

describe('FD00', () => {
  test.each([
    ['0000000000', { mode: 'confirmed', inactive: 'empty', activationPending: false }],
    ['0101010103', { mode: 'trial', inactive: 'receiving', activationPending: true }],
    ['0102020000', { mode: 'recovery', inactive: 'valid', activationPending: false }],
  ] as const)('%s', (hex, expected) => {
    const state = decodeBootState(fromHex(hex))!;
    expect(state).toMatchObject(expected);
    expect(state.activeBank).toBe(Number(hex.slice(0, 2)));
    expect(state.trialBootsLeft).toBe(Number(hex.slice(8)));
    expect(toHex(encodeBootState(state))).toBe(hex);
  });

  test.each(['', '00000000', '000000000000', '0003000000', '0000030000', '0000000200'])(
    '%s is none',
    (hex) => {
      expect(decodeBootState(fromHex(hex))).toBeUndefined();
    },
  );
});
