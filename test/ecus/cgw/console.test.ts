// The console on a terminal: keys, resize, Control-C, and a terminal that is left as it was found.

import { describe, expect, it } from 'vitest';
import { type ApprovalState, IDLE_APPROVAL } from '../../../ecus/cgw/approval-state.ts';
import { openConsole } from '../../../ecus/cgw/console.ts';
import type { DriverAnswer } from '../../../ecus/cgw/driver-keys.ts';
import type { ApprovalFacts } from '../../../src/vehicle/approval.ts';
import { FakeTerminal } from '../../support/fake-terminal.ts';

const FACTS: ApprovalFacts = {
  vin: 'V',
  phase: 'install',
  forced: false,
  purpose: 'p',
  ecus: [{ name: 'EDT', from: '1', to: '2', changes: '' }],
  durationSeconds: 1,
  unavailable: [],
  instructions: '',
  timeoutSeconds: 30,
};
const ASKING: Extract<ApprovalState, { kind: 'asking' }> = {
  kind: 'asking',
  deadlineMs: 30_000,
  request: {
    campaignId: new Uint8Array(16),
    planDigest: new Uint8Array(32),
    nonce: new Uint8Array(16),
    facts: FACTS,
  },
};
const view = (approval: ApprovalState) => ({
  approval,
  nowMs: 0,
  timeoutMs: 30_000,
  status: 'CGW 1.0.0',
  clockText: () => '14:30',
});

function open(isTTY: boolean) {
  const terminal = new FakeTerminal(isTTY, 60, 10);
  const answers: DriverAnswer[] = [];
  let interrupts = 0;
  const console = openConsole({
    terminal,
    onAnswer: (given) => answers.push(given),
    onInterrupt: () => interrupts++,
    colour: false,
  });
  return { terminal, answers, console, interrupts: () => interrupts };
}

describe('the screen console', () => {
  it('takes single keys, in either case, and nothing else', () => {
    const { terminal, answers, console, interrupts } = open(true);
    expect(terminal.rawMode).toBe(true);
    terminal.type('x');
    terminal.type('a');
    terminal.type('L');
    terminal.type('I');
    terminal.type('w');
    terminal.type('n');
    terminal.type('\x1b[D'); // cursor left ends with a D
    terminal.type('constructor'.slice(3, 5));
    expect(answers).toEqual([
      { kind: 'approve' },
      { kind: 'later', minutes: 60 },
      { kind: 'later-ignition' },
      { kind: 'withdraw' },
      { kind: 'again' },
    ]);
    terminal.type('\x03');
    expect(interrupts()).toBe(1);
    console.close();
  });

  it('denies with a second key only, and any other key leads back', () => {
    const { terminal, answers, console } = open(true);
    console.show(view(IDLE_APPROVAL));
    terminal.type('dd');
    expect(answers).toEqual([]);
    console.show(view(ASKING));
    terminal.type('d');
    expect(terminal.text).toContain('Deny this update?');
    for (const key of ['b', 'a', ' ', 'n']) {
      terminal.type(key);
      expect(answers).toEqual([]);
      terminal.type('d');
    }
    // Another question begins without the first key of the one before.
    console.show(view(IDLE_APPROVAL));
    console.show(view({ ...ASKING, request: { ...ASKING.request, facts: { ...FACTS } } }));
    terminal.type('d');
    expect(answers).toEqual([]);
    terminal.type('D');
    expect(answers).toEqual([{ kind: 'deny' }]);
    console.close();
  });

  it('paints again when the window changes', () => {
    const { terminal, console } = open(true);
    console.show(view(IDLE_APPROVAL));
    const before = terminal.text.length;
    terminal.resize(30, 5);
    const painted = terminal.text.slice(before);
    expect(painted.split('\r\n').length).toBeLessThanOrEqual(5);
    expect(painted).toContain('No update is waiting.');
    console.close();
  });

  it('leaves the terminal as it was, once', () => {
    const { terminal, console, answers } = open(true);
    const listeners = process.listenerCount('exit');
    console.close();
    console.close();
    expect(process.listenerCount('exit')).toBe(listeners - 1);
    expect(terminal.rawMode).toBe(false);
    expect(terminal.text.endsWith('\x1b[?25h\x1b[?1049l')).toBe(true);
    expect(terminal.text.split('\x1b[?1049l')).toHaveLength(2);
    terminal.type('a');
    terminal.resize(10, 10);
    expect(answers).toEqual([]);
  });
});

describe('the line console', () => {
  it('serves a terminal that cannot draw a screen, without one control sequence', () => {
    const terminal = Object.assign(new FakeTerminal(true, 60, 10), { screen: false });
    const answers: DriverAnswer[] = [];
    const console = openConsole({
      terminal,
      onAnswer: (given) => answers.push(given),
      onInterrupt: () => {},
    });
    expect(terminal.rawMode).toBe(false);
    console.show(view(ASKING));
    terminal.type('a\n');
    expect(answers).toEqual([{ kind: 'approve' }]);
    expect(terminal.text).toContain('approve | later [minutes] | later ignition | deny');
    expect(terminal.text).not.toContain('\x1b');
    console.close();
  });

  it('tells each quarter of an update once', () => {
    const { terminal, console } = open(false);
    for (const received of [0, 10, 30, 40, 60, 100, 100]) {
      console.show({ ...view(IDLE_APPROVAL), progress: [{ ecu: 'EDT', received, total: 100 }] });
    }
    expect(terminal.text.match(/\d+ %/g)).toEqual(['0 %', '25 %', '50 %', '100 %']);
    console.close();
  });

  it('says that no answer can come when its input has ended', () => {
    const { terminal, console } = open(false);
    console.show(view(IDLE_APPROVAL));
    terminal.input.emit('end');
    expect(terminal.text).toBe('');
    console.show(view(ASKING));
    expect(terminal.text).toContain('standard input has ended: no answer can come');
    expect(terminal.text).toContain('--approve yes');
    console.close();
    const late = open(false);
    late.console.show(view(ASKING));
    late.terminal.input.emit('end');
    expect(late.terminal.text).toContain('standard input has ended');
    late.console.close();
  });

  it('prints each outcome once', () => {
    const { terminal, console } = open(false);
    const told = { ...view(IDLE_APPROVAL), outcome: 'Everything is new.' };
    console.show(told);
    console.show(told);
    expect(terminal.text).toBe('About the last update: Everything is new.\n');
    console.show(view(IDLE_APPROVAL));
    console.show(told); // the next update ended the same way
    expect(terminal.text.split('Everything is new.')).toHaveLength(3);
    console.close();
  });

  it('hands "signal" lines to whoever wants them, at any time', () => {
    const terminal = new FakeTerminal(false);
    const asked: string[][] = [];
    const console = openConsole({
      terminal,
      onAnswer: () => {},
      onInterrupt: () => {},
      onSignal: (words) => {
        asked.push([...words]);
        return ['speed is 50 km/h'];
      },
    });
    terminal.type('signal\nSignal  speed 50\n');
    expect(asked).toEqual([[], ['speed', '50']]);
    expect(terminal.text).toBe('speed is 50 km/h\nspeed is 50 km/h\n');
    console.close();
    const without = open(false);
    without.terminal.type('signal speed 50\n');
    expect(without.terminal.text).toContain('not understood');
  });

  it('reads whole lines, however they arrive, and forgets endless ones', () => {
    const { terminal, answers, console } = open(false);
    console.show(view(ASKING));
    terminal.type('app');
    terminal.type('rove\r\nlat');
    terminal.type('er 5\n');
    terminal.type('x'.repeat(100_000));
    terminal.type('\ndeny\ndeny\n');
    expect(answers).toEqual([{ kind: 'approve' }, { kind: 'later', minutes: 5 }, { kind: 'deny' }]);
    expect(terminal.text.length).toBeLessThan(1000);
    console.close();
  });

  it('takes no answer to a question that was not there', () => {
    const { terminal, answers, console } = open(false);
    terminal.type('approve\n');
    console.show(view(IDLE_APPROVAL));
    terminal.type('approve\nwithdraw\n');
    expect(answers).toEqual([]);
    expect(terminal.text).toContain('nothing is waiting for "approve"');
    console.close();
  });
});
