// The driver's approval through a real CGW: answered, forged, replayed, withdrawn, forgotten.

import { describe, expect, it } from 'vitest';
import type { ApprovalQuestion } from '../../src/campaign/ports.ts';
import { fromHex } from '../../src/core/bytes.ts';
import { CgwApprover } from '../../src/drivers/cgw-approver.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { encodeApprovalRequest, encodeApprovalResult } from '../../src/vehicle/approval.ts';
import { findEcu } from '../../src/vehicle/load.ts';
import { APPROVAL_KEY, benchVehicle } from '../support/ecu-bench.ts';
import { FakeTerminal } from '../support/fake-terminal.ts';
import { EcuLink } from './ecu-link.ts';

const question: ApprovalQuestion = {
  campaignId: '01'.repeat(16),
  planDigest: '02'.repeat(32),
  nonce: '03'.repeat(16),
  phase: 'install',
  facts: {
    vin: benchVehicle.vin,
    phase: 'install',
    forced: false,
    purpose: 'New software for EDT',
    ecus: [{ name: 'EDT', from: '1.0.0', to: '2.0.0', changes: '' }],
    durationSeconds: 60,
    unavailable: [],
    instructions: 'Park.',
    timeoutSeconds: 30,
  },
};

async function start(
  approve: 'ask' | 'yes' | 'no',
  options: { terminal?: FakeTerminal; key?: string } = {},
) {
  const clock = new VirtualClock();
  const terminal = options.terminal;
  const link = await EcuLink.start(benchVehicle, 'CGW', clock, {
    approve,
    ...(terminal === undefined ? {} : { terminal }),
  });
  const approver = new CgwApprover({
    ecu: findEcu(benchVehicle, 'CGW'),
    key: options.key ?? APPROVAL_KEY,
    requester: link.client,
    clock,
  });
  return { link, approver, clock };
}

describe('an answer', () => {
  it.each([
    ['yes', 'approved'],
    ['no', 'denied'],
  ] as const)('--approve %s is %s', async (approve, kind) => {
    const { approver, clock } = await start(approve);
    expect(await clock.within(60_000, approver.ask(question))).toEqual({ kind });
  });

  it('of a driver who takes his time', async () => {
    const terminal = new FakeTerminal(false);
    const { approver, clock } = await start('ask', { terminal });
    clock.after('the driver', 7000, () => terminal.type('approve\n'));
    expect(await clock.within(60_000, approver.ask(question))).toEqual({ kind: 'approved' });
    expect(clock.nowMs()).toBeLessThan(8000);
  });

  it('"later" has its time', async () => {
    const terminal = new FakeTerminal(false);
    const { approver, clock } = await start('ask', { terminal });
    clock.after('the driver', 1000, () => terminal.type('later 90\n'));
    const answer = await clock.within(60_000, approver.ask(question));
    expect(answer.kind).toBe('later');
    const minutes =
      answer.kind === 'later' && 'untilWallMs' in answer
        ? (answer.untilWallMs - clock.wallMs()) / 60_000
        : 0;
    expect(Math.round(minutes)).toBe(90);
  });

  it('"later" at the next ignition off has no time', async () => {
    const terminal = new FakeTerminal(false);
    const { approver, clock } = await start('ask', { terminal });
    clock.after('the driver', 1000, () => terminal.type('later ignition\n'));
    expect(await clock.within(60_000, approver.ask(question))).toEqual({
      kind: 'later',
      until: 'ignition-off',
    });
  });

  it('to one phase is none to the next', async () => {
    const terminal = new FakeTerminal(false);
    const { approver, clock } = await start('ask', { terminal });
    clock.after('the driver', 1000, () => terminal.type('approve\n'));
    await clock.within(60_000, approver.ask(question));
    const activate = { ...question, phase: 'activate' } as const;
    // Nobody was asked for the activation: whoever passes the approval of the installation for it is found out.
    expect((await clock.within(1000, approver.recheck(activate, true))).kind).toBe('forged');
    clock.after('the driver', 1000, () => terminal.type('deny\ndeny\n'));
    expect(await clock.within(60_000, approver.ask(activate))).toEqual({ kind: 'denied' });
    expect(terminal.text).toContain('The new software is ready. May it be started now?');
  });

  it('can be taken back: the driver wants to be asked again, and nobody else can say so', async () => {
    const terminal = new FakeTerminal(false);
    const { approver, clock } = await start('ask', { terminal });
    clock.after('the driver', 1000, () => terminal.type('deny\ndeny\n'));
    expect(await clock.within(60_000, approver.ask(question))).toEqual({ kind: 'denied' });
    const wants = () => clock.within(10_000, approver.wantsAgain(question));
    expect(await wants()).toBe(false);
    terminal.type('now\n');
    expect(await wants()).toBe(true);
    // The word of another question has another MAC.
    const other = { ...question, nonce: '77'.repeat(16) };
    expect(await clock.within(10_000, approver.wantsAgain(other))).toBe(false);
    expect((await clock.within(1000, approver.recheck(question, false))).kind).toBe('withdrawn');
    clock.after('the driver', 1000, () => terminal.type('approve\n'));
    const again = { ...question, campaignId: '08'.repeat(16) };
    expect(await clock.within(60_000, approver.ask(again))).toEqual({ kind: 'approved' });
    expect(await wants()).toBe(false);
  });

  it('is asked for although a question that nobody took back is still open', async () => {
    const terminal = new FakeTerminal(false);
    const { approver, link, clock } = await start('ask', { terminal });
    const forgotten = { ...question, campaignId: '09'.repeat(16) };
    const died = new AbortController();
    void approver.ask(forgotten, died.signal);
    await clock.advance(2000);
    died.abort();
    expect(terminal.text).toContain('New software for EDT');
    clock.after('the driver', 3000, () => terminal.type('approve\n'));
    expect(await clock.within(60_000, approver.ask(question))).toEqual({ kind: 'approved' });
    link.client.close();
  });

  it('that never comes is a time-out', async () => {
    const { approver, clock } = await start('ask');
    expect(await clock.within(60_000, approver.ask(question))).toEqual({ kind: 'timed-out' });
    expect(clock.nowMs()).toBeGreaterThan(29_000);
    expect(clock.nowMs()).toBeLessThan(32_000);
  });
});

describe('a forgery', () => {
  it('with another key is found out', async () => {
    const { approver, clock } = await start('yes', { key: '11'.repeat(32) });
    expect(await clock.within(60_000, approver.ask(question))).toMatchObject({ kind: 'forged' });
  });

  it('that changes the status is found out', async () => {
    const { approver, clock, link } = await start('no');
    link.changes = (answer) => {
      const changed = Uint8Array.from(answer);
      if (changed.length === 41) changed[4] = 1; // denied becomes approved
      return changed;
    };
    expect(await clock.within(60_000, approver.ask(question))).toMatchObject({ kind: 'forged' });
  });

  it('that replays the approval of another campaign, plan or nonce is found out', async () => {
    for (const field of ['campaignId', 'planDigest', 'nonce'] as const) {
      const { approver, clock, link } = await start('no');
      const binding = {
        campaignId: fromHex(question.campaignId),
        planDigest: fromHex(question.planDigest),
        nonce: fromHex(question.nonce),
        facts: question.facts,
      };
      binding[field] = binding[field].map((byte) => byte ^ 0xff);
      const old = encodeApprovalResult(fromHex(APPROVAL_KEY), binding, 1, 0);
      link.changes = (answer) => {
        if (answer.length !== 41) return answer;
        const changed = Uint8Array.from(answer);
        changed.set(old, 4);
        return changed;
      };
      expect(await clock.within(60_000, approver.ask(question))).toMatchObject({ kind: 'forged' });
    }
  });

  it('of the wrong length is found out', async () => {
    const { approver, clock, link } = await start('yes');
    link.changes = (answer) => (answer.length === 41 ? answer.slice(0, 40) : answer);
    expect(await clock.within(60_000, approver.ask(question))).toMatchObject({ kind: 'forged' });
  });
});

describe('an approval', () => {
  it('stands until the driver takes it back, and for good once it is final', async () => {
    const terminal = new FakeTerminal(false);
    const { approver, clock } = await start('ask', { terminal });
    clock.after('the driver', 100, () => terminal.type('approve\n'));
    expect((await clock.within(60_000, approver.ask(question))).kind).toBe('approved');
    expect((await clock.within(1000, approver.recheck(question, false))).kind).toBe('approved');
    expect((await clock.within(1000, approver.recheck(question, true))).kind).toBe('approved');
    terminal.type('withdraw\n');
    expect((await clock.within(1000, approver.recheck(question, true))).kind).toBe('approved');
  });

  it('that was taken back counts no more', async () => {
    const terminal = new FakeTerminal(false);
    const { approver, clock } = await start('ask', { terminal });
    clock.after('the driver', 100, () => terminal.type('approve\n'));
    await clock.within(60_000, approver.ask(question));
    terminal.type('withdraw\n');
    expect((await clock.within(1000, approver.recheck(question, false))).kind).toBe('withdrawn');
    expect((await clock.within(1000, approver.recheck(question, true))).kind).toBe('withdrawn');
  });

  it('outlives a restart of the TMU that asks again under a new nonce', async () => {
    const { approver, clock } = await start('yes');
    await clock.within(60_000, approver.ask(question));
    const again = { ...question, nonce: '04'.repeat(16) };
    expect((await clock.within(60_000, approver.ask(again))).kind).toBe('approved');
    expect((await clock.within(1000, approver.recheck(question, false))).kind).toBe('forged');
  });

  it('that the CGW has forgotten is none', async () => {
    const { approver, clock } = await start('yes');
    for (const final of [true, false]) {
      expect(await clock.within(5000, approver.recheck(question, final))).toEqual({
        kind: 'forgotten',
        reason: expect.stringContaining('it was restarted'),
      });
    }
  });
});

describe('a driver who is not asked', () => {
  it.each([true, false])('is told (forced: %s), whatever he wants', async (forced) => {
    const terminal = new FakeTerminal(false);
    const { approver, clock, link } = await start('no', { terminal });
    const told = { ...question, facts: { ...question.facts, forced } };
    expect(await clock.within(60_000, approver.inform(told))).toEqual({ kind: 'informed' });
    expect(terminal.text).toContain(forced ? 'It cannot be refused.' : 'approved in advance');
    expect(link.events.filter(({ kind }) => kind === 'approval')).toHaveLength(1);
  });

  it('a console that does not show it is said', async () => {
    const { approver, clock, link } = await start('no');
    link.changes = (answer) => (answer.length === 41 ? answer.with(40, answer[40]! ^ 1) : answer);
    expect(await clock.within(60_000, approver.inform(question))).toMatchObject({
      kind: 'unreachable',
      reason: expect.stringContaining('not authentic'),
    });
    link.loses = () => true;
    expect(await clock.within(60_000, approver.inform(question))).toMatchObject({
      kind: 'unreachable',
      reason: expect.stringContaining('no answer'),
    });
  });

  it('cannot be made out of one who is: a node that tells in place of asking is found out', async () => {
    const { approver, clock, link } = await start('no');
    const { facts } = question;
    const { requests } = link;
    const asking = clock.within(60_000, approver.ask(question));
    // The attacker repeats the question, seen on the bus, as information; the CGW approves that at once.
    const told = encodeApprovalRequest({
      campaignId: fromHex(question.campaignId),
      planDigest: fromHex(question.planDigest),
      nonce: fromHex(question.nonce),
      facts: { ...facts, informOnly: true },
    });
    expect((await asking).kind).toBe('denied');
    expect(requests.length).toBeGreaterThan(1);
    const sent = link.client.request(Uint8Array.from([0x31, 0x01, 0x02, 0x00, ...told]));
    expect(await clock.within(1000, sent)).toMatchObject({ kind: 'positive' });
    expect((await clock.within(1000, approver.recheck(question, false))).kind).toBe('forged');
  });

  it('is told how it ended', async () => {
    const terminal = new FakeTerminal(false);
    const { approver, clock, link } = await start('ask', { terminal });
    await clock.within(1000, approver.tell('EDT runs 2.0.0,\nINV runs 1.0.0.'));
    expect(terminal.text).toBe('About the last update: EDT runs 2.0.0, INV runs 1.0.0.\n');
    await clock.within(1000, approver.tell(''));
    // Best effort: nobody there is no exception.
    link.loses = () => true;
    await clock.within(60_000, approver.tell('Nobody reads this.'));
    expect(terminal.text).not.toContain('Nobody');
  });
});

it('a question that is interrupted is asked again afterwards', async () => {
  const terminal = new FakeTerminal(false);
  const { approver, clock } = await start('ask', { terminal });
  const abort = new AbortController();
  clock.after('stop', 3000, () => abort.abort());
  const stopped = await clock.within(10_000, approver.ask(question, abort.signal));
  expect(stopped.kind).toBe('interrupted');
  expect(clock.nowMs()).toBeLessThan(3500);
  await clock.within(1000, approver.withdraw());
  clock.after('the driver', 1000, () => terminal.type('approve\n'));
  const again = { ...question, nonce: '04'.repeat(16) };
  expect((await clock.within(60_000, approver.ask(again))).kind).toBe('approved');
});

it('a CGW that is not there is named', async () => {
  const clock = new VirtualClock();
  const link = new EcuLink(benchVehicle, 'CGW', clock);
  const approver = new CgwApprover({
    ecu: findEcu(benchVehicle, 'CGW'),
    key: APPROVAL_KEY,
    requester: link.client,
    clock,
  });
  expect(await clock.within(60_000, approver.ask(question))).toMatchObject({
    kind: 'unreachable',
    reason: expect.stringContaining('CGW (0x7E0 -> 0x7E8)'),
  });
});
