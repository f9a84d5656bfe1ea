// The facts for the driver fit into one message, however long the release notes are.

import fc from 'fast-check';
import { describe, it } from 'vitest';
import { planDigest } from '../../src/campaign/plan.ts';
import { DEFAULT_CAMPAIGN_CONFIG } from '../../src/campaign/state.ts';
import { questionOf } from '../../src/tmu/question.ts';
import { approvalFactsSchema, encodeApprovalRequest } from '../../src/vehicle/approval.ts';
import { planOf } from './files-support.ts';
import { vehicle } from './support.ts';

describe('the facts for the driver', () => {
  it('fit the wire whatever the release notes are', () => {
    const note = fc.oneof(
      fc.string({ unit: 'grapheme', maxLength: 3000 }),
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.constantFrom('\u202eevil\u0007\n', '🚗'.repeat(2000), 'ä'.repeat(4000), '"\\'.repeat(400)),
    );
    fc.assert(
      fc.property(note, fc.integer({ min: 1, max: 40 }), (notes, count) => {
        const plan = planOf(notes, count);
        const question = questionOf(
          {
            id: '0'.repeat(32),
            nonce: '1'.repeat(32),
            plan,
            planDigest: planDigest(plan),
            startedWallMs: 0,
            asks: [],
            limits: DEFAULT_CAMPAIGN_CONFIG,
            warnings: [],
            mixed: null,
          },
          { vehicle, phase: 'install', timeoutSeconds: 30 },
        );
        approvalFactsSchema.parse(question.facts);
        encodeApprovalRequest({
          campaignId: new Uint8Array(16),
          planDigest: new Uint8Array(32),
          nonce: new Uint8Array(16),
          facts: question.facts,
        });
      }),
      { numRuns: 200, seed: 1 },
    );
  });
});
