// What the driver reads: the screen at several sizes, the plain lines, and text that does not behave.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ApprovalState } from '../../../ecus/cgw/approval-state.ts';
import { answerOfLine } from '../../../ecus/cgw/driver-keys.ts';
import {
  type DriverView,
  durationText,
  informationLines,
  questionLines,
  renderPrompt,
} from '../../../ecus/cgw/render.ts';
import { cutText, padText, textWidth, wrapText } from '../../../src/core/text-layout.ts';
import {
  type ApprovalFacts,
  ApprovalStatus,
  UNTIL_IGNITION_OFF,
} from '../../../src/vehicle/approval.ts';

const facts: ApprovalFacts = {
  vin: 'WVWZZZ1JZXW000001',
  phase: 'install',
  forced: false,
  purpose: 'Charging works again after a cold start, and the display no longer freezes.',
  ecus: [
    { name: 'EDT', from: '1.0.0', to: '2.0.0', changes: 'steady display' },
    { name: 'INV', from: '1.0.0', to: '1.1.0', changes: 'charging after a cold start' },
  ],
  durationSeconds: 100,
  unavailable: ['display', 'driving'],
  instructions: 'Park the car, leave the ignition on, and do not open the bonnet.',
  timeoutSeconds: 30,
};
const request = {
  campaignId: new Uint8Array(16),
  planDigest: new Uint8Array(32),
  nonce: new Uint8Array(16),
  facts,
};
const asking: ApprovalState = { kind: 'asking', request, deadlineMs: 30_000 };
const answered = (status: Exclude<ApprovalStatus, 0>, settled = false): ApprovalState => ({
  kind: 'answered',
  request,
  status,
  untilUnixS: 0,
  settled,
});
const view = (approval: ApprovalState, nowMs = 0): DriverView => ({
  approval,
  nowMs,
  timeoutMs: 30_000,
  status: 'CGW 1.0.0',
  clockText: () => '14:30',
});

describe('the screen', () => {
  it('asks with everything that the driver must know', () => {
    expect(renderPrompt(view(asking, 8500), 80, 24)).toEqual([
      '  CENTRAL GATEWAY                                            WVWZZZ1JZXW000001',
      `  ${'─'.repeat(76)}`,
      '  ',
      '  SOFTWARE UPDATE',
      '  ',
      '  Why           Charging works again after a cold start, and the display no',
      '                longer freezes.',
      '  ',
      '  What changes  EDT  1.0.0 → 2.0.0   steady display',
      '                INV  1.0.0 → 1.1.0   charging after a cold start',
      '  ',
      '  How long      about 2 minutes',
      '  ',
      '  Not usable    display, driving',
      '  ',
      '  What to do    Park the car, leave the ignition on, and do not open the',
      '                bonnet.',
      '  ',
      '  May the update start now?',
      '  ',
      '   A  Approve     L  Later (1 hour)     I  Later (ignition off)     D  Deny',
      '  ',
      `  ${'█'.repeat(29)}${'░'.repeat(11)} 22 s`,
      '  No answer counts as not approved.',
    ]);
  });

  it('says what became of it', () => {
    const shown = (approval: ApprovalState) => renderPrompt(view(approval), 80, 24).join('\n');
    expect(shown({ kind: 'idle' })).toContain('No update is waiting.');
    expect(shown(answered(ApprovalStatus.approved))).toContain('You approved the update.');
    expect(shown(answered(ApprovalStatus.approved))).toContain(' W  Withdraw the approval');
    expect(shown(answered(ApprovalStatus.approved, true))).not.toContain('Withdraw');
    expect(shown(answered(ApprovalStatus.later))).toContain('asked again after 14:30');
    const atIgnitionOff = { ...answered(ApprovalStatus.later), untilUnixS: UNTIL_IGNITION_OFF };
    expect(shown(atIgnitionOff as ApprovalState)).toContain(
      'asked again when the ignition was switched off',
    );
    const denied = shown(answered(ApprovalStatus.denied));
    expect(denied).toContain('You denied the update.');
    expect(denied).toContain('You will not be asked again for');
    expect(denied).toContain(' N  Now after all');
    expect(shown(answered(ApprovalStatus.later))).toContain(' N  Now after all');
    expect(shown(answered(ApprovalStatus.timedOut))).toContain(' N  Now after all');
    expect(shown(answered(ApprovalStatus.askAgain))).toContain('You will be asked again in a');
    expect(shown(answered(ApprovalStatus.timedOut))).toContain('No answer came in time.');
    expect(shown(answered(ApprovalStatus.withdrawn))).toContain('withdrawn');
    expect(shown({ kind: 'idle' })).toContain('CGW 1.0.0');
  });

  it.each([200, 80, 40, 12])('shows how far the ECUs are on %i columns', (columns) => {
    const progress = [
      { ecu: 'EDT', received: 154_580, total: 154_580 },
      { ecu: 'INV', received: 52_000, total: 150_996 },
    ];
    const lines = renderPrompt(
      { ...view(answered(ApprovalStatus.approved)), progress },
      columns,
      24,
    );
    for (const line of lines) expect(textWidth(line)).toBeLessThanOrEqual(columns);
    const text = lines.join('\n');
    expect(text).toMatch(columns < 20 ? /E.*100 %/ : /EDT.*100 %/);
    expect(text).toMatch(columns < 20 ? /I.*34 %/ : /INV.*34 %/);
    // While the driver is asked, and when it is over, there is none.
    for (const other of [{ approval: asking }, { outcome: 'Everything is new.' }]) {
      const shown = renderPrompt(
        { ...view(answered(ApprovalStatus.approved)), progress, ...other },
        80,
        24,
      );
      expect(shown.join('\n')).not.toContain('34 %');
    }
  });

  it.each([
    ['download', 'May the update be downloaded now?', 'You approved the download.'],
    ['install', 'May the update start now?', 'It is being prepared now.'],
    ['activate', 'May it be started now?', 'It is being started now.'],
  ] as const)('knows what it asks for: %s', (phase, question, approved) => {
    const asks = { ...request, facts: { ...facts, phase } };
    const shown = (approval: ApprovalState) => renderPrompt(view(approval), 80, 24).join('\n');
    expect(shown({ ...asking, request: asks })).toContain(question);
    expect(questionLines(asks.facts, 30).join('\n')).toContain(question);
    const answer = answered(ApprovalStatus.approved);
    expect(shown({ ...answer, request: asks } as ApprovalState)).toContain(approved);
  });

  it('shows what is not asked with all its facts, and no key', () => {
    for (const [more, says] of [
      [{ forced: true }, 'A safety update is being installed. It cannot be refused.'],
      [{ informOnly: true }, 'A software update is being installed. It was approved in advance.'],
    ] as const) {
      const told = {
        ...answered(ApprovalStatus.approved, true),
        request: { ...request, facts: { ...facts, ...more } },
      } as ApprovalState;
      const text = renderPrompt(view(told), 80, 24).join('\n');
      expect(text).toContain(says);
      expect(text).toContain('charging after a cold start');
      expect(text).toContain('What to do');
      expect(text).not.toMatch(/Approve|Withdraw|No answer/);
      const lines = informationLines(told, () => '14:30').join('\n');
      expect(lines).toContain(says);
      expect(lines).toContain('EDT  1.0.0 → 2.0.0');
    }
  });

  it('tells how the last update ended, until the next question', () => {
    const outcome = 'Taken back. EDT runs 1.0.0.';
    const shown = (approval: ApprovalState) =>
      renderPrompt({ ...view(approval), outcome }, 80, 24).join('\n');
    expect(shown({ kind: 'idle' })).toContain('About the last update:\n  Taken back. EDT');
    expect(shown(answered(ApprovalStatus.approved, true))).not.toContain('You approved');
    expect(shown(asking)).not.toContain('Taken back');
  });

  it('keeps the keys on a small window and says what is cut', () => {
    const lines = renderPrompt(view(asking), 40, 12);
    expect(lines).toHaveLength(12);
    const text = lines.join('\n');
    expect(text).toContain('A=Approve L=Later I=Ignition D=Deny');
    expect(text).toContain('too small');
    expect(renderPrompt(view(asking), 20, 3).join('\n')).toContain('30 s');
    // Too narrow even for short words: no key is cut off.
    expect(renderPrompt(view(asking), 30, 12).join('\n')).toContain('A/L/I/D');
  });

  it('never leaves the window, at any size and with any text', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 60 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 120 }),
        fc.integer({ min: 1, max: 40 }),
        text,
        text,
        (columns, rows, purpose, changes) => {
          const strange = { ...facts, purpose, ecus: [{ ...facts.ecus[0]!, changes }] };
          const approval: ApprovalState = { ...asking, request: { ...request, facts: strange } };
          const told: ApprovalState = {
            ...answered(ApprovalStatus.approved, true),
            request: { ...request, facts: { ...strange, forced: true } },
          } as ApprovalState;
          for (const [shown, outcome] of [
            [approval, undefined],
            [answered(ApprovalStatus.approved), undefined],
            [told, undefined],
            [told, purpose],
          ] as const) {
            const lines = renderPrompt({ ...view(shown), outcome }, columns, rows);
            expect(lines.length).toBeLessThanOrEqual(rows);
            for (const line of lines) expect(textWidth(line)).toBeLessThanOrEqual(columns);
          }
        },
      ),
    );
  });

  it('uses colour only when it is told to', () => {
    const control = String.fromCharCode(27);
    expect(renderPrompt(view(asking), 80, 24).join('')).not.toContain(control);
    expect(renderPrompt(view(asking), 80, 24, true).join('')).toContain(control);
  });
});

describe('without a screen', () => {
  it('the question is lines', () => {
    expect(questionLines(facts, 30)).toEqual([
      'software update for WVWZZZ1JZXW000001',
      '  Why:          Charging works again after a cold start, and the display no longer freezes.',
      '  What changes: EDT  1.0.0 → 2.0.0   steady display',
      '  What changes: INV  1.0.0 → 1.1.0   charging after a cold start',
      '  How long:     about 2 minutes',
      '  Not usable:   display, driving',
      '  What to do:   Park the car, leave the ignition on, and do not open the bonnet.',
      '  May the update start now?',
      '  answer within 30 s: approve | later [minutes] | later ignition | deny',
    ]);
  });

  it('answers are words', () => {
    expect(answerOfLine('approve')).toEqual({ kind: 'approve' });
    expect(answerOfLine('DENY')).toEqual({ kind: 'deny' });
    expect(answerOfLine('now')).toEqual({ kind: 'again' });
    expect(answerOfLine('Now after all')).toEqual({ kind: 'again' });
    expect(answerOfLine('later')).toEqual({ kind: 'later', minutes: 60 });
    expect(answerOfLine('Later  ignition')).toEqual({ kind: 'later-ignition' });
    expect(answerOfLine('later 90')).toEqual({ kind: 'later', minutes: 90 });
    for (const other of [
      'later 0',
      'later 99999',
      'later soon',
      'ignition',
      'later ignition 5',
      'yes',
      'approve it',
      'x',
    ]) {
      expect(answerOfLine(other)).toBeUndefined();
    }
  });
});

describe('texts', () => {
  it('of durations are for people', () => {
    expect([0.2, 1, 59, 60, 61, 600].map(durationText)).toEqual([
      'less than a second',
      'about 1 second',
      'about 59 seconds',
      'about 1 minute',
      'about 2 minutes',
      'about 10 minutes',
    ]);
  });

  it('are measured, cut, filled and wrapped by columns', () => {
    expect(textWidth('日本 e\u0301')).toBe(6);
    expect(cutText('日本語', 4)).toBe('日…');
    expect(padText('ab', 4)).toBe('ab  ');
    expect(wrapText('one two  three', 7)).toEqual(['one two', 'three']);
    expect(wrapText('abcdefgh ij', 3)).toEqual(['abc', 'def', 'gh', 'ij']);
    expect(wrapText('', 5)).toEqual(['']);
    expect(wrapText('日', 1)).toEqual(['…']);
  });
});
