// The approval's wire format: literal bytes, round trips, and what a forger on the bus can not do.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import {
  type ApprovalFacts,
  approvalMac,
  decodeApprovalRequest,
  decodeApprovalResult,
  decodeOutcome,
  encodeApprovalRequest,
  encodeApprovalResult,
  encodeOutcome,
  MAX_OUTCOME_BYTES,
  verifyApproval,
} from '../../src/vehicle/approval.ts';

const key = fromHex('0b'.repeat(32));
const facts: ApprovalFacts = {
  vin: 'WVWZZZ1JZXW000001',
  phase: 'install',
  forced: false,
  purpose: 'Fixes the display',
  ecus: [{ name: 'EDT', from: '1.0.0', to: '2.0.0', changes: 'display' }],
  durationSeconds: 90,
  unavailable: ['display'],
  instructions: 'Park the car.',
  timeoutSeconds: 30,
};
const binding = {
  campaignId: fromHex('11'.repeat(16)),
  planDigest: fromHex('22'.repeat(32)),
  nonce: fromHex('33'.repeat(16)),
  facts,
};
const head = `${'11'.repeat(16)}${'22'.repeat(32)}${'33'.repeat(16)}`;

describe('the request', () => {
  it('is id, digest, nonce, and JSON', () => {
    const bytes = encodeApprovalRequest(binding);
    expect(toHex(bytes.subarray(0, 64))).toBe(head);
    expect(JSON.parse(Buffer.from(bytes.subarray(64)).toString())).toEqual(facts);
    expect(decodeApprovalRequest(bytes)).toEqual(binding);
  });

  it('with a short field or facts that are too long is our own mistake', () => {
    const short = new Uint8Array(15);
    expect(() => encodeApprovalRequest({ ...binding, campaignId: short })).toThrow(
      'campaignId has 15 bytes, expected 16',
    );
    const ecus = Array.from({ length: 20 }, () => ({
      ...facts.ecus[0]!,
      changes: 'x'.repeat(300),
    }));
    expect(() => encodeApprovalRequest({ ...binding, facts: { ...facts, ecus } })).toThrow(
      'shorten the release notes',
    );
  });

  it('of another peer is checked: length, UTF-8, JSON, schema, control characters', () => {
    const fault = (json: string | Uint8Array) => {
      const body = typeof json === 'string' ? new TextEncoder().encode(json) : json;
      const decoded = decodeApprovalRequest(Uint8Array.from([...fromHex(head), ...body]));
      return 'fault' in decoded ? decoded.fault : 'none';
    };
    expect(fault('')).toBe('wrong-length');
    expect(fault(new Uint8Array(4001))).toBe('wrong-length');
    expect(fault(Uint8Array.of(0xff, 0xfe))).toBe('bad-facts');
    expect(fault('{')).toBe('bad-facts');
    expect(fault('{}')).toBe('bad-facts');
    expect(fault(JSON.stringify(facts))).toBe('none');
    expect(fault(JSON.stringify({ ...facts, purpose: '\x1b[2J' }))).toBe('bad-facts');
    expect(fault(JSON.stringify({ ...facts, purpose: 'a\u202eb' }))).toBe('bad-facts');
    expect(fault(JSON.stringify({ ...facts, timeoutSeconds: 0 }))).toBe('bad-facts');
    expect(fault(JSON.stringify({ ...facts, ecus: [] }))).toBe('bad-facts');
  });

  it('never makes the decoder throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        decodeApprovalRequest(bytes);
        decodeApprovalResult(bytes);
      }),
    );
  });
});

describe('the result', () => {
  it('is status, until, MAC', () => {
    // HMAC-SHA256(0b..0b, "can-ota approval v1" 11.. 22.. 33.. SHA-256 of the facts 01 00000000), by Python's hmac.
    expect(toHex(encodeApprovalResult(key, binding, 1, 0))).toBe(
      '010000000004c4b0cb77798225dffeb049257acff1e2ead7dc341d99f98588a6cb436b0d10',
    );
    expect(decodeApprovalResult(encodeApprovalResult(key, binding, 2, 0x12345678))).toEqual({
      status: 2,
      untilUnixS: 0x12345678,
      mac: approvalMac(key, binding, 2, 0x12345678),
    });
    expect(decodeApprovalResult(new Uint8Array(36))).toBeUndefined();
    expect(decodeApprovalResult(Uint8Array.of(7, ...new Uint8Array(36)))).toBeUndefined();
  });

  it('is accepted for its own question only', () => {
    const result = decodeApprovalResult(encodeApprovalResult(key, binding, 1, 0))!;
    expect(verifyApproval(key, binding, result)).toBe(true);
    // A node that does not have the key.
    expect(verifyApproval(fromHex('0c'.repeat(32)), binding, result)).toBe(false);
    // An old answer, replayed to a new question, a new plan, a new campaign.
    const other = (length: number) => new Uint8Array(length).fill(0x44);
    expect(verifyApproval(key, { ...binding, nonce: other(16) }, result)).toBe(false);
    expect(verifyApproval(key, { ...binding, planDigest: other(32) }, result)).toBe(false);
    expect(verifyApproval(key, { ...binding, campaignId: other(16) }, result)).toBe(false);
    const shown = { ...facts, purpose: 'Fixes the radio' };
    expect(verifyApproval(key, { ...binding, facts: shown }, result)).toBe(false);
    // A question about the download, or one that nobody has to answer, is no approval of the installation.
    for (const change of [{ phase: 'download' }, { forced: true }, { informOnly: true }] as const) {
      expect(verifyApproval(key, { ...binding, facts: { ...facts, ...change } }, result)).toBe(
        false,
      );
    }
    const longer = { ...facts, timeoutSeconds: 60 };
    expect(verifyApproval(key, { ...binding, facts: longer }, result)).toBe(true);
    // The same question, asked a moment later: an approval that was taken back meanwhile does not count again.
    const asked = decodeApprovalResult(encodeApprovalResult(key, binding, 1, 0, other(16)))!;
    expect(verifyApproval(key, binding, asked, other(16))).toBe(true);
    expect(verifyApproval(key, binding, asked, new Uint8Array(16).fill(0x45))).toBe(false);
    expect(verifyApproval(key, binding, asked)).toBe(false);
    expect(verifyApproval(key, binding, result, other(16))).toBe(false);
    // A denial that was made an approval on the bus; a later that was moved.
    const denied = decodeApprovalResult(encodeApprovalResult(key, binding, 3, 0))!;
    expect(verifyApproval(key, binding, { ...denied, status: 1 })).toBe(false);
    expect(verifyApproval(key, binding, { ...result, untilUnixS: 1 })).toBe(false);
    for (let bit = 0; bit < 256; bit++) {
      const mac = Uint8Array.from(result.mac);
      mac[bit >> 3]! ^= 1 << (bit & 7);
      expect(verifyApproval(key, binding, { ...result, mac })).toBe(false);
    }
  });
});

describe('how an update ended', () => {
  it('is UTF-8 without anything that moves the cursor, cut between characters', () => {
    expect(toHex(encodeOutcome('für'))).toBe('66c3bc72');
    expect(decodeOutcome(encodeOutcome('a\u001b[2Jb\nc'))).toEqual({ text: 'a [2Jb c' });
    for (let pad = 0; pad < 4; pad++) {
      const bytes = encodeOutcome(`${'a'.repeat(pad)}${'😀'.repeat(300)}`);
      expect(bytes.length).toBeGreaterThan(MAX_OUTCOME_BYTES - 4);
      expect(bytes.length).toBeLessThanOrEqual(MAX_OUTCOME_BYTES);
      expect(decodeOutcome(bytes)).toMatchObject({ text: expect.stringMatching(/😀$/u) });
    }
  });

  it('of another peer is checked: length, UTF-8, control characters', () => {
    expect(decodeOutcome(new Uint8Array())).toEqual({ fault: 'wrong-length' });
    expect(decodeOutcome(new Uint8Array(1001).fill(0x41))).toEqual({ fault: 'wrong-length' });
    expect(decodeOutcome(new Uint8Array(1000).fill(0x41))).toHaveProperty('text');
    expect(decodeOutcome(Uint8Array.of(0x41, 0xff))).toEqual({ fault: 'bad-text' });
    expect(decodeOutcome(Uint8Array.of(0x41, 0x1b))).toEqual({ fault: 'bad-text' });
  });
});
