// The engine of the XCP master: time-outs, SYNCH, repeats, late and foreign packets, as frames and times.

import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import {
  initialMasterState,
  type MasterInput,
  type MasterState,
  masterDue,
  stepMaster,
  type XcpRequest,
  type XcpTiming,
} from '../../src/xcp/master-engine.ts';

const TIMING: XcpTiming = {
  ...{ t1Ms: 1000, t3Ms: 2000, t4Ms: 10_000, t5Ms: 1000, t6Ms: 50, t7Ms: 2000 },
  busyLimitMs: 25_000,
};

const STATUS: XcpRequest = { bytes: fromHex('FD'), timer: 'T1', tries: 2 };
const MTA = fromHex('F600000000100000');
const PROGRAM: XcpRequest = {
  bytes: fromHex('C901020304050607'),
  timer: 'T5',
  tries: 3,
  before: [MTA],
};

/** The engine with a clock; what it sends is confirmed at once. */
class Bench {
  state: MasterState = initialMasterState;
  nowMs = 0;
  readonly log: string[] = [];

  feed(input: MasterInput, confirm = true): void {
    const { state, effects } = stepMaster(this.state, input, this.nowMs, TIMING);
    this.state = state;
    for (const effect of effects) {
      if (effect.kind === 'send') {
        this.log.push(`> ${toHex(effect.bytes)}`);
        if (confirm) this.feed({ kind: 'sent', id: effect.id, atMs: this.nowMs });
      } else if (effect.kind === 'stray') {
        this.log.push(`? ${toHex(effect.data)} ${effect.reason}`);
      } else {
        const { reply } = effect;
        this.log.push(
          reply.kind === 'positive'
            ? `= ${toHex(reply.data)}`
            : reply.kind === 'error'
              ? `= error ${reply.code}${reply.repeated ? ' repeated' : ''}`
              : `= ${reply.kind}`,
        );
      }
    }
  }

  ask(request: XcpRequest): void {
    this.feed({ kind: 'ask', request });
  }

  hear(hex: string, atMs = this.nowMs): void {
    this.feed({ kind: 'received', data: fromHex(hex), atMs });
  }

  /** Moves on to the next timer. */
  expire(): string | undefined {
    const due = masterDue(this.state);
    if (due === undefined) return undefined;
    this.nowMs = due.dueMs;
    this.feed({ kind: 'tick' });
    return due.name;
  }
}

function lines(bench: Bench): string[] {
  return bench.log.splice(0);
}

describe('a command', () => {
  it('ends with its answer', () => {
    const bench = new Bench();
    bench.ask(STATUS);
    bench.hear('FF0010000000');
    expect(lines(bench)).toEqual(['> fd', '= ff0010000000']);
    bench.ask(STATUS);
    bench.hear('FE25');
    expect(lines(bench)).toEqual(['> fd', '= error 37']);
  });

  it('is repeated behind SYNCH and what else it needs', () => {
    const bench = new Bench();
    bench.ask(PROGRAM);
    expect(bench.expire()).toBe('T5');
    bench.hear('FE00');
    bench.hear('FF');
    bench.hear('FF');
    expect(lines(bench)).toEqual([
      '> c901020304050607',
      '> fc',
      '> f600000000100000',
      '> c901020304050607',
      '= ff',
    ]);
  });

  it('does not take the late answer of its first try for the answer to SYNCH or to its repeat', () => {
    const bench = new Bench();
    bench.ask(STATUS);
    bench.expire();
    bench.hear('FF0000000000');
    bench.hear('FE00');
    bench.hear('FE00');
    bench.hear('FF0010000000');
    expect(lines(bench)).toEqual([
      ...['> fd', '> fc'],
      '? ff0000000000 it is the late answer to an earlier command',
      '> fd',
      '? fe00 it is the late answer to SYNCH',
      '= ff0010000000',
    ]);
  });

  it('is silent when neither it nor SYNCH is answered', () => {
    const bench = new Bench();
    bench.ask(STATUS);
    while (bench.expire() !== undefined) {}
    expect(lines(bench)).toEqual(['> fd', '> fc', '> fc', '> fc', '= silent']);
    expect(bench.nowMs).toBe(4000);
  });

  it('is silent when only SYNCH is answered', () => {
    const bench = new Bench();
    bench.ask(STATUS);
    bench.expire();
    bench.hear('FE00');
    bench.expire();
    expect(lines(bench)).toEqual(['> fd', '> fc', '> fd', '= silent']);
  });

  it('behind a silent one begins with SYNCH, and CONNECT does not', () => {
    const bench = new Bench();
    const once = { ...STATUS, tries: 1 };
    bench.ask(once);
    bench.expire();
    bench.ask(PROGRAM);
    bench.hear('FF0000000000');
    bench.hear('FE00');
    bench.hear('FF');
    expect(lines(bench)).toEqual([
      ...['> fd', '= silent', '> fc'],
      '? ff0000000000 it is the late answer to an earlier command',
      ...['> c901020304050607', '= ff'],
    ]);
    bench.ask(once);
    bench.expire();
    lines(bench);
    bench.ask({ bytes: fromHex('FF00'), timer: 'T6', tries: 1 });
    expect(lines(bench)).toEqual(['> ff00']);
  });

  it('says that an error came to a repeat', () => {
    const bench = new Bench();
    bench.ask(STATUS);
    bench.expire();
    bench.hear('FE00');
    bench.hear('FE29');
    expect(lines(bench).at(-1)).toBe('= error 41 repeated');
  });
});

describe('a busy slave', () => {
  it('gets the command again after T7, until the limit', () => {
    const bench = new Bench();
    bench.ask({ ...STATUS, tries: 1 });
    bench.hear('FE10');
    expect(bench.expire()).toBe('T7');
    bench.hear('FF0000000000');
    expect(lines(bench)).toEqual(['> fd', '> fd', '= ff0000000000']);
    bench.ask(STATUS);
    const beganMs = bench.nowMs;
    for (let tries = 0; tries < 100 && masterDue(bench.state) !== undefined; tries++) {
      bench.hear('FE12');
      bench.expire();
    }
    expect(lines(bench).at(-1)).toBe('= busy');
    expect(bench.nowMs - beganMs).toBe(25_000);
  });

  it('may ask for more time', () => {
    const bench = new Bench();
    bench.ask({ ...STATUS, tries: 1 });
    bench.nowMs = 900;
    bench.hear('FD05');
    expect(masterDue(bench.state)).toEqual({ dueMs: 1900, name: 'T1' });
    // Not for ever.
    for (; bench.nowMs < 60_000; bench.nowMs += 900) bench.hear('FD05');
    expect(masterDue(bench.state)?.dueMs).toBe(25_000);
  });
});

describe('a packet', () => {
  it('without a command, of a measurement, or without a meaning is left out', () => {
    const bench = new Bench();
    bench.hear('FF');
    bench.ask(STATUS);
    for (const hex of ['', '07AABB', 'FC01', 'FD01', 'FE']) bench.hear(hex);
    expect(lines(bench)).toEqual([
      '? ff no command is open',
      '> fd',
      '?  it is empty',
      '? 07aabb it is measurement data',
      '? fc01 it is a service request',
      '? fd01 it is an event',
      '? fe it is an error without a code',
    ]);
    expect(bench.state.phase.kind).toBe('waiting');
  });

  it('from before the command is foreign, one that only came before its confirmation is not', () => {
    const bench = new Bench();
    bench.nowMs = 10;
    bench.feed({ kind: 'ask', request: STATUS }, false);
    bench.hear('FF0000000000', 5);
    bench.hear('FF0010000000', 12);
    bench.feed({ kind: 'sent', id: 0, atMs: 11 });
    expect(lines(bench)).toEqual([
      '> fd',
      '? ff0000000000 it came before the command was on the wire',
      '= ff0010000000',
    ]);
  });
});

describe('a command that is stopped', () => {
  it('leaves its answer in doubt', () => {
    const bench = new Bench();
    bench.ask(STATUS);
    bench.feed({ kind: 'abort', reason: 'stopped by the caller' });
    bench.ask(STATUS);
    expect(lines(bench)).toEqual(['> fd', '= transport', '> fc']);
  });

  it('by its bus ends at once', () => {
    const bench = new Bench();
    bench.feed({ kind: 'ask', request: STATUS }, false);
    bench.feed({ kind: 'unsent', id: 0, reason: 'the bus is down' });
    expect(lines(bench)).toEqual(['> fd', '= transport']);
  });
});
