// The driver is asked again about a denied, deferred or unanswered release when the driver or the operator wants it.

import { describe, expect, it } from 'vitest';
import type { ApprovalAnswer } from '../../src/campaign/ports.ts';
import { decodeMemory, MEMORY_FILE } from '../../src/tmu/memory.ts';
import { bytesOf, offerOf, World } from './support.ts';

function world(): World {
  const w = new World();
  w.backend.release('EDT', '2.0.0', bytesOf(5000, 1));
  w.trusted.offers = w.backend.releases.map((release) => offerOf(release));
  return w;
}

const refusals: [string, ApprovalAnswer, string][] = [
  ['a deny', { kind: 'denied' }, 'USER_REJECTED'],
  ['later', { kind: 'later', untilWallMs: Date.UTC(2026, 0, 5) }, 'DEFERRED'],
  ['silence', { kind: 'timed-out' }, 'DEFERRED'],
];

describe.each(refusals)('after %s', (_name, answer, outcome) => {
  async function refused(): Promise<World> {
    const w = world();
    w.approver.answers = [answer];
    expect((await w.once()).outcome).toBe(outcome);
    expect((await w.once()).outcome).toBe(outcome);
    expect(w.approver.asked).toHaveLength(1);
    return w;
  }

  it('nobody is asked by itself, and the release is remembered with its names', async () => {
    const w = await refused();
    const memory = decodeMemory(w.storage.contents(MEMORY_FILE)!)!;
    expect(memory.remembered).toMatchObject([{ releases: [{ ecu: 'EDT', version: '2.0.0' }] }]);
    expect(memory.question).toMatchObject({ campaignId: w.approver.asked[0]!.campaignId });
  });

  it('the driver is asked the whole question again, also by a TMU that was restarted', async () => {
    const w = await refused();
    w.approver.again = true;
    w.approver.answers = [{ kind: 'approved' }];
    expect((await w.once()).outcome).toBe('SUCCESS');
    expect(w.approver.asked).toHaveLength(2);
    expect(w.approver.asked[1]!.campaignId).not.toBe(w.approver.asked[0]!.campaignId);
  });

  it('the operator has the driver asked again, once', async () => {
    const w = await refused();
    w.backend.askAgain = { campaign: w.approver.asked[0]!.campaignId, reason: 'please' };
    w.approver.answers = [{ kind: 'denied' }];
    expect(await w.once()).toMatchObject({ outcome: 'USER_REJECTED', code: 'DENIED' });
    expect(w.approver.asked).toHaveLength(2);
    // The order named the previous campaign, so the new refusal stays.
    expect((await w.once()).outcome).toBe('USER_REJECTED');
    expect(w.approver.asked).toHaveLength(2);
  });

  it('a backend that does not know the order, or is away, changes nothing', async () => {
    const w = await refused();
    w.backend.campaignFaults = [
      { kind: 'failed', code: 'HTTP_404', reason: 'no such path', transient: false },
    ];
    expect((await w.once()).outcome).toBe(outcome);
    expect(w.approver.asked).toHaveLength(1);
  });
});

it('a release that failed is not asked again by the order of an operator', async () => {
  const w = world();
  w.ecu('EDT').fail('verify', 'SELF_TEST');
  expect((await w.once()).outcome).toBe('ROLLBACK_COMPLETED');
  w.approver.again = true;
  w.backend.askAgain = { campaign: w.approver.asked[0]!.campaignId, reason: 'please' };
  expect((await w.once()).outcome).toBe('ROLLBACK_COMPLETED');
  expect(w.approver.asked).toHaveLength(1);
});
