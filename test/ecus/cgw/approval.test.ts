// Routine 0200 on the CGW, from the TMU's side: asked, answered, withdrawn, timed out, asked again.

import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { DriverTerminal } from '../../../ecus/cgw/console.ts';
import { type Cgw, type CreateCgwOptions, createCgw } from '../../../ecus/cgw/create-cgw.ts';
import { concatBytes, fromHex, toHex } from '../../../src/core/bytes.ts';
import { silentLogger } from '../../../src/core/logger.ts';
import { seededRandom } from '../../../src/sim/seeded-random.ts';
import { benchApprovalKey } from '../../../src/trust/bench-keys.ts';
import {
  type ApprovalFacts,
  type ApprovalResult,
  ApprovalStatus,
  decodeApprovalResult,
  encodeApprovalRequest,
  verifyApproval,
} from '../../../src/vehicle/approval.ts';
import { parseVehicle } from '../../../src/vehicle/load.ts';
import { vehicleSchema } from '../../../src/vehicle/schema.ts';
import { APPROVAL_KEY, benchVehicle, EcuBench } from '../../support/ecu-bench.ts';
import { FakeTerminal } from '../../support/fake-terminal.ts';
import { benchTesterKey } from '../../support/secured-message.ts';

const facts: ApprovalFacts = {
  vin: benchVehicle.vin,
  phase: 'install',
  forced: false,
  purpose: 'Fixes the display',
  ecus: [{ name: 'EDT', from: '1.0.0', to: '2.0.0', changes: 'a new map' }],
  durationSeconds: 90,
  unavailable: ['display'],
  instructions: 'Park the car.',
  timeoutSeconds: 20,
};
const question = (campaign = 1, nonce = 3, digest = 2) => ({
  campaignId: new Uint8Array(16).fill(campaign),
  planDigest: new Uint8Array(32).fill(digest),
  nonce: new Uint8Array(16).fill(nonce),
  facts,
});
type Question = ReturnType<typeof question>;

async function startCgw(
  options: Partial<CreateCgwOptions> & { terminal?: DriverTerminal } = {},
): Promise<{ bench: EcuBench; cgw: Cgw }> {
  const bench = EcuBench.idle();
  bench.testerKey = benchTesterKey('CGW');
  const cgw = await bench.clock.within(
    60_000,
    createCgw({
      vehicle: benchVehicle,
      storage: bench.storage,
      clock: bench.clock,
      random: seededRandom(),
      logger: silentLogger,
      connect: bench.connect,
      onEvent: (event) => bench.events.push(event),
      approve: 'ask',
      benchKeys: true,
      ...options,
    }),
  );
  bench.ecu = cgw.ecu;
  return { bench, cgw };
}

const start = (bench: EcuBench, asked: Question): Promise<string> =>
  bench.ask(concatBytes(fromHex('31010200'), encodeApprovalRequest(asked)));

async function results(bench: EcuBench, asked: Question): Promise<ApprovalResult> {
  const answer = await bench.expect('31030200');
  expect(answer.slice(0, 8)).toBe('71030200');
  const result = decodeApprovalResult(fromHex(answer.slice(8)))!;
  expect(verifyApproval(fromHex(APPROVAL_KEY), asked, result)).toBe(true);
  return result;
}

describe('the driver', () => {
  it('is asked, waits, approves', async () => {
    const terminal = new FakeTerminal(false);
    const { bench, cgw } = await startCgw({ terminal });
    expect(await start(bench, question())).toBe('71010200');
    expect(await results(bench, question())).toMatchObject({ status: ApprovalStatus.waiting });
    expect(terminal.text).toContain('EDT  1.0.0 → 2.0.0   a new map');
    terminal.type('approve\n');
    expect(await results(bench, question())).toMatchObject({ status: 1, untilUnixS: 0 });
    expect(bench.events.filter(({ kind }) => kind === 'approval')).toEqual([
      { kind: 'approval', campaignId: '01'.repeat(16), status: 'waiting' },
      { kind: 'approval', campaignId: '01'.repeat(16), status: 'approved' },
    ]);
    await cgw.close();
    expect(bench.clock.pending()).toEqual([]);
  });

  it('chooses later, for an hour or as he says', async () => {
    const terminal = new FakeTerminal(false);
    const { bench } = await startCgw({ terminal });
    await start(bench, question());
    terminal.type('later\n');
    const nowS = Math.floor(bench.clock.wallMs() / 1000);
    expect(await results(bench, question())).toMatchObject({
      status: ApprovalStatus.later,
      untilUnixS: nowS + 3600,
    });
    await start(bench, question(2));
    terminal.type('later 15\r\n');
    expect(await results(bench, question(2))).toMatchObject({ untilUnixS: nowS + 900 });
  });

  it('chooses later, at the next ignition off, which has no time', async () => {
    const terminal = new FakeTerminal(false);
    const { bench } = await startCgw({ terminal });
    await start(bench, question());
    terminal.type('later ignition\n');
    const later = { status: ApprovalStatus.later, untilUnixS: 0xffff_ffff };
    expect(await results(bench, question())).toMatchObject(later);
    await bench.clock.advance(1000);
    await start(bench, question()); // a repeated request does not ask him again
    expect(await results(bench, question())).toMatchObject(later);
  });

  it('denies', async () => {
    const terminal = new FakeTerminal(false);
    const { bench } = await startCgw({ terminal });
    await start(bench, question());
    terminal.type('no idea\n\ndeny\n');
    expect(await results(bench, question())).toMatchObject({ status: ApprovalStatus.waiting });
    expect(terminal.text).toContain('type "deny" again');
    terminal.type('deny\napprove\n');
    expect(await results(bench, question())).toMatchObject({ status: ApprovalStatus.denied });
    expect(terminal.text).toContain('not understood: "no idea"');
  });

  it('denies only when the second word is a deny, too', async () => {
    const terminal = new FakeTerminal(false);
    const { bench } = await startCgw({ terminal });
    await start(bench, question());
    terminal.type('deny\n');
    await bench.clock.advance(20_100);
    // The first word alone is silence, and does not count for the next question.
    expect(await results(bench, question())).toMatchObject({ status: ApprovalStatus.timedOut });
    await start(bench, question(2));
    terminal.type('deny\n');
    expect(await results(bench, question(2))).toMatchObject({ status: ApprovalStatus.waiting });
    terminal.type('approve\n');
    expect(await results(bench, question(2))).toMatchObject({ status: ApprovalStatus.approved });
  });

  it.each([
    ['a deny', 'deny\ndeny\n'],
    ['later', 'later 60\n'],
    ['a withdrawn approval', 'approve\nwithdraw\n'],
    ['silence', ''],
  ])('chooses "now after all" after %s, which approves nothing', async (_name, typed) => {
    const terminal = new FakeTerminal(false);
    const { bench } = await startCgw({ terminal });
    terminal.type('now\n');
    await start(bench, question());
    terminal.type(`now\n${typed}`);
    if (typed === '') await bench.clock.advance(20_100);
    const before = await results(bench, question());
    expect(before.status).not.toBe(ApprovalStatus.askAgain);
    expect(terminal.text).toContain('("now" has the question asked again)');
    terminal.type('now after all\n');
    expect(await results(bench, question())).toMatchObject({
      status: ApprovalStatus.askAgain,
      untilUnixS: 0,
    });
    // The question comes again as a question, also from a TMU that repeats the very same one.
    await start(bench, question());
    expect(await results(bench, question())).toMatchObject({ status: ApprovalStatus.waiting });
  });

  it('has nothing to take back of an approval, of a question that was withdrawn, of information', async () => {
    const terminal = new FakeTerminal(false);
    const { bench } = await startCgw({ terminal });
    await start(bench, question());
    terminal.type('approve\nnow\n');
    expect(await results(bench, question())).toMatchObject({ status: ApprovalStatus.approved });
    await start(bench, question(2));
    await bench.ask('31020200');
    terminal.type('now\n');
    expect(await results(bench, question(2))).toMatchObject({ status: ApprovalStatus.withdrawn });
  });

  it('says nothing: timed out, as long as asked for or as long as the CGW is told', async () => {
    const { bench } = await startCgw();
    await start(bench, question());
    await bench.clock.advance(19_900);
    expect(await results(bench, question())).toMatchObject({ status: ApprovalStatus.waiting });
    await bench.clock.advance(200);
    expect(await results(bench, question())).toMatchObject({ status: ApprovalStatus.timedOut });
    const short = await startCgw({ timeoutMs: 5000 });
    await start(short.bench, question());
    await short.bench.clock.advance(5001);
    expect(await results(short.bench, question())).toMatchObject({
      status: ApprovalStatus.timedOut,
    });
  });

  it('takes his approval back until the TMU stops asking', async () => {
    const terminal = new FakeTerminal(false);
    const { bench } = await startCgw({ terminal });
    await start(bench, question());
    terminal.type('withdraw\n'); // nothing to take back yet
    expect(await results(bench, question())).toMatchObject({ status: ApprovalStatus.waiting });
    terminal.type('approve\nwithdraw\n');
    expect(await results(bench, question())).toMatchObject({ status: ApprovalStatus.withdrawn });
    await start(bench, question(2));
    terminal.type('approve\n');
    expect(await bench.ask('31020200')).toBe('71020200');
    terminal.type('withdraw\n');
    expect(await results(bench, question(2))).toMatchObject({ status: ApprovalStatus.approved });
  });

  it('need not be there: yes and no', async () => {
    for (const [approve, status] of [
      ['yes', ApprovalStatus.approved],
      ['no', ApprovalStatus.denied],
    ] as const) {
      const { bench } = await startCgw({ approve });
      expect(await start(bench, question())).toBe('71010200');
      expect(await results(bench, question())).toMatchObject({ status });
    }
  });
});

describe('the TMU', () => {
  it('asks the same again: one question, bound to the newest nonce', async () => {
    const terminal = new FakeTerminal(false);
    const { bench } = await startCgw({ terminal });
    await start(bench, question(1, 3));
    await bench.clock.advance(10_000);
    expect(await start(bench, question(1, 4))).toBe('71010200');
    expect(terminal.text.match(/software update for/g)).toHaveLength(1);
    await bench.clock.advance(9000);
    terminal.type('approve\n');
    const answer = fromHex((await bench.expect('31030200')).slice(8));
    const result = decodeApprovalResult(answer)!;
    expect(verifyApproval(fromHex(APPROVAL_KEY), question(1, 4), result)).toBe(true);
    // The answer to the first nonce cannot be made of it.
    expect(verifyApproval(fromHex(APPROVAL_KEY), question(1, 3), result)).toBe(false);
    // A standing approval survives a restart of the TMU; a new plan does not inherit it.
    await start(bench, question(1, 5));
    expect(await results(bench, question(1, 5))).toMatchObject({ status: 1 });
    await start(bench, question(1, 6, 9));
    expect(await results(bench, question(1, 6, 9))).toMatchObject({ status: 0 });
  });

  it('asks again after a denial or a time-out: a new question, but a repeated request is none', async () => {
    const { bench } = await startCgw({ approve: 'no' });
    await start(bench, question(1, 3));
    await start(bench, question(1, 3));
    expect(bench.events.filter(({ kind }) => kind === 'approval')).toHaveLength(2);
    await start(bench, question(1, 4));
    expect(bench.events.filter(({ kind }) => kind === 'approval')).toHaveLength(4);
  });

  it('asks again with the same nonce: silence is asked again, later is kept until its time', async () => {
    const terminal = new FakeTerminal(false);
    const { bench } = await startCgw({ terminal });
    await start(bench, question());
    await bench.clock.advance(21_000);
    expect(await results(bench, question())).toMatchObject({ status: ApprovalStatus.timedOut });
    await start(bench, question());
    expect(await results(bench, question())).toMatchObject({ status: ApprovalStatus.waiting });
    terminal.type('later 5\n');
    await start(bench, question());
    expect(await results(bench, question())).toMatchObject({ status: ApprovalStatus.later });
    await bench.clock.advance(301_000);
    await start(bench, question());
    expect(await results(bench, question())).toMatchObject({ status: ApprovalStatus.waiting });
  });

  it('cannot ask about another campaign while a question is open', async () => {
    const { bench } = await startCgw();
    await start(bench, question(1));
    expect(await start(bench, question(2))).toBe('7F3122');
    expect(await start(bench, question(1, 3, 9))).toBe('7F3122');
    expect(await bench.ask('31020200')).toBe('71020200');
    expect(await results(bench, question(1))).toMatchObject({ status: ApprovalStatus.withdrawn });
    expect(await start(bench, question(2))).toBe('71010200');
  });

  it('makes mistakes', async () => {
    const { bench } = await startCgw();
    expect(await bench.ask('31030200')).toBe('7F3124');
    expect(await bench.ask('31020200')).toBe('7F3124');
    expect(await bench.ask('3101020000')).toBe('7F3113');
    expect(await bench.ask(`31010200${'00'.repeat(64)}7B7D`)).toBe('7F3131');
    await start(bench, question());
    expect(await bench.ask('3103020000')).toBe('7F3113');
    expect(await bench.ask(`31030200${'00'.repeat(15)}`)).toBe('7F3113');
    expect(await bench.ask(`31030200${'00'.repeat(16)}`)).not.toBe(await bench.ask('31030200'));
    expect(await bench.ask('3102020000')).toBe('7F3113');
  });

  it('finds the question gone after a reset of the CGW', async () => {
    const { bench } = await startCgw();
    await start(bench, question());
    await bench.reset();
    expect(await bench.ask('31030200')).toBe('7F3124');
    expect(bench.clock.pending()).toEqual([]);
  });
});

describe('each phase', () => {
  const phased = (phase: ApprovalFacts['phase'], more: Partial<ApprovalFacts> = {}) => ({
    ...question(),
    facts: { ...facts, phase, ...more },
  });

  it('of one campaign is a question of its own', async () => {
    const terminal = new FakeTerminal(false);
    const { bench } = await startCgw({ terminal });
    const asked = [phased('download'), phased('install'), phased('activate')];
    for (const [index, each] of asked.entries()) {
      await start(bench, each);
      expect(await results(bench, each)).toMatchObject({ status: ApprovalStatus.waiting });
      // No phase inherits the answer of another, open or given.
      expect(await start(bench, asked[(index + 1) % 3]!)).toBe('7F3122');
      terminal.type('approve\n');
      expect(await results(bench, each)).toMatchObject({ status: ApprovalStatus.approved });
    }
    expect(terminal.text.match(/software update for/g)).toHaveLength(3);
    expect(bench.events.filter(({ kind }) => kind === 'approval')).toHaveLength(6);
  });

  it.each([{ forced: true }, { informOnly: true }] as const)(
    'that nobody has to answer is shown and approved: %o',
    async (more) => {
      const terminal = new FakeTerminal(false);
      const { bench } = await startCgw({ terminal, approve: 'no' });
      const told = phased('install', more);
      expect(await start(bench, told)).toBe('71010200');
      expect(await results(bench, told)).toMatchObject({ status: ApprovalStatus.approved });
      expect(terminal.text).toContain('EDT  1.0.0 → 2.0.0   a new map');
      expect(terminal.text).not.toContain('answer within');
      // There is nothing that could be taken back or denied.
      terminal.type('withdraw\ndeny\ndeny\nnow\n');
      expect(await results(bench, told)).toMatchObject({ status: ApprovalStatus.approved });
      // A TMU that was restarted tells it again: not shown twice, and bound to the new nonce.
      const again = { ...told, nonce: new Uint8Array(16).fill(9) };
      await start(bench, again);
      expect(await results(bench, again)).toMatchObject({ status: ApprovalStatus.approved });
      expect(terminal.text.match(/What changes/g)).toHaveLength(1);
      expect(bench.events.filter(({ kind }) => kind === 'approval')).toHaveLength(1);
      // The same campaign as a question is still a question.
      await start(bench, question());
      expect(await results(bench, question())).toMatchObject({ status: ApprovalStatus.denied });
    },
  );

  it('information does not push an open question from the screen', async () => {
    const { bench } = await startCgw();
    await start(bench, question());
    expect(await start(bench, phased('install', { forced: true }))).toBe('7F3122');
    expect(await results(bench, question())).toMatchObject({ status: ApprovalStatus.waiting });
  });
});

describe('routine 0204 tells how it ended', () => {
  const tell = (text: string): string => `31010204${Buffer.from(text).toString('hex')}`;

  it('in every session, until the next question', async () => {
    const terminal = new FakeTerminal(false);
    const { bench } = await startCgw({ terminal });
    expect(await bench.ask(tell('Taken back: EDT runs 1.0.0.'))).toBe('71010204');
    expect(terminal.text).toContain('About the last update: Taken back: EDT runs 1.0.0.\n');
    await bench.ask('1003');
    expect(await bench.ask(tell('Twice.'))).toBe('71010204');
    await start(bench, question());
    expect(await bench.ask(tell('Over the question'))).toBe('7F3122');
    expect(terminal.text).not.toContain('Over the question');
    terminal.type('deny\ndeny\n');
    expect(await bench.ask(tell('Twice.'))).toBe('71010204');
    expect(terminal.text.match(/Twice\./g)).toHaveLength(2);
  });

  it('and takes text only', async () => {
    const { bench } = await startCgw();
    expect(await bench.ask('31010204')).toBe('7F3113');
    expect(await bench.ask(`31010204${'41'.repeat(1001)}`)).toBe('7F3113');
    expect(await bench.ask('31010204FF')).toBe('7F3131');
    expect(await bench.ask('310102041B')).toBe('7F3131');
    expect(await bench.ask('31020204')).toBe('7F3112');
  });
});

describe('createCgw', () => {
  it('says what is missing in the vehicle file', async () => {
    const { approval: _, ...rest } = benchVehicle;
    const vehicle = vehicleSchema.parse(rest);
    await expect(startCgw({ vehicle })).rejects.toThrow(
      'approval: missing in the vehicle file: it names the ECU that asks the driver, and its key',
    );
  });

  it('refuses a key that comes with can-ota, but on a bench', async () => {
    const text = readFileSync('ecus/bench-vehicle.yaml', 'utf8');
    const vehicle = parseVehicle(text, 'bench-vehicle.yaml');
    await expect(startCgw({ vehicle, benchKeys: false })).rejects.toThrow(
      /^approval\.key: is a secret that comes with can-ota: leave it out/,
    );
    const { bench } = await startCgw({ vehicle });
    expect(await start(bench, question())).toBe('71010200');
  });

  it('asks nobody before there is a key, and answers with the provisioned one', async () => {
    const vehicle = vehicleSchema.parse({ ...benchVehicle, approval: { ecu: 'CGW' } });
    const { bench: virgin } = await startCgw({ vehicle, benchKeys: false, approve: 'yes' });
    expect(await start(virgin, question())).toBe('7F3122');
    const { bench } = await startCgw({ vehicle, approve: 'yes' });
    expect(await start(bench, question())).toBe('71010200');
    const answer = await bench.expect('31030200');
    const result = decodeApprovalResult(fromHex(answer.slice(8)))!;
    expect(verifyApproval(benchApprovalKey(), question(), result)).toBe(true);
    expect(verifyApproval(fromHex(APPROVAL_KEY), question(), result)).toBe(false);
  });

  it('is an ECU that can be updated', async () => {
    const { bench } = await startCgw();
    const image = seededRandom(4).bytes(5000);
    await bench.program(image, '2.0.0', 'CGW');
    await bench.expectOrder('activate');
    await bench.reset();
    expect(await bench.text('F195')).toBe('2.0.0');
    expect(toHex(bench.storage.contents('bank-b.bin')!)).toBe(toHex(image));
  });
});
