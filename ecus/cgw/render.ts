// Renders the state of the request as lines of text for the driver. Pure; the caller switches colours.

import pc from 'picocolors';
import { cutText, padText, textWidth, wrapText } from '../../src/core/text-layout.ts';
import {
  type ApprovalFacts,
  type ApprovalPhase,
  ApprovalStatus,
  UNTIL_IGNITION_OFF,
} from '../../src/vehicle/approval.ts';
import { type ApprovalState, canAskAgain, canWithdraw, isInformation } from './approval-state.ts';
import { CONFIRM_KEYS, type DriverKey, keysFor, wordsFor } from './driver-keys.ts';
import type { UpdateProgress } from './update-watch.ts';

export interface DriverView {
  readonly approval: ApprovalState;
  /** Time limit of the request, for the countdown bar. */
  readonly timeoutMs: number;
  readonly nowMs: number;
  /** State of the CGW: its version or its present work. */
  readonly status: string;
  /** Outcome of the last update, as the TMU sent it; not authenticated. */
  readonly outcome?: string | undefined;
  /** Progress of the ECUs since the question, as the gateway saw it on the bus. */
  readonly progress?: readonly UpdateProgress[];
  /** True when the driver pressed D once; the second press denies. */
  readonly denying?: boolean;
  /** Local time of the driver as `HH:MM`, for `later`. */
  clockText(unixS: number): string;
}

/** A duration as text, in whole minutes from one minute on: `about 2 minutes`. */
export function durationText(seconds: number): string {
  if (seconds < 1) return 'less than a second';
  if (seconds < 60) return `about ${seconds} ${seconds === 1 ? 'second' : 'seconds'}`;
  const minutes = Math.ceil(seconds / 60);
  return `about ${minutes} ${minutes === 1 ? 'minute' : 'minutes'}`;
}

/** Label before a text of the TMU that is not authenticated. */
export const OUTCOME_LABEL = 'About the last update';

interface PhaseWords {
  readonly title: string;
  readonly question: string;
  /** Text for an approval that can still be withdrawn. */
  readonly approved: string;
  /** Text after `A safety update` or `A software update`. */
  readonly underWay: string;
}

const WORDS: Readonly<Record<ApprovalPhase, PhaseWords>> = {
  download: {
    title: 'SOFTWARE UPDATE: DOWNLOAD',
    question: 'May the update be downloaded now?',
    approved: 'You approved the download. Nothing is changed by it.',
    underWay: 'is being downloaded',
  },
  install: {
    title: 'SOFTWARE UPDATE',
    question: 'May the update start now?',
    approved: 'You approved the update. It is being prepared now.',
    underWay: 'is being installed',
  },
  activate: {
    title: 'SOFTWARE UPDATE: START OF THE NEW SOFTWARE',
    question: 'The new software is ready. May it be started now?',
    approved: 'You approved the start of the new software. It is being started now.',
    underWay: 'is being started',
  },
};

/** The state of the request as a sentence for the driver. */
export function outcomeText(approval: ApprovalState, clockText: (unixS: number) => string): string {
  if (approval.kind === 'idle') return 'No update is waiting.';
  if (approval.kind === 'asking') return 'A software update is waiting for your answer.';
  const { facts } = approval.request;
  const words = WORDS[facts.phase];
  switch (approval.status) {
    case ApprovalStatus.approved:
      if (facts.forced) return `A safety update ${words.underWay}. It cannot be refused.`;
      if (isInformation(approval.request)) {
        return `A software update ${words.underWay}. It was approved in advance.`;
      }
      return approval.settled ? 'You approved the update.' : words.approved;
    case ApprovalStatus.later:
      return approval.untilUnixS === UNTIL_IGNITION_OFF
        ? 'You chose later. You will be asked again when the ignition was switched off.'
        : `You chose later. You will be asked again after ${clockText(approval.untilUnixS)}.`;
    case ApprovalStatus.denied:
      return 'You denied the update. Nothing is changed. You will not be asked again for this release.';
    case ApprovalStatus.timedOut:
      return 'No answer came in time. Nothing is changed.';
    case ApprovalStatus.withdrawn:
      return 'The update was withdrawn. Nothing new will be started.';
    case ApprovalStatus.askAgain:
      return 'You chose "now after all". You will be asked again in a moment.';
  }
}

/** The facts as label and paragraphs; both consoles show the same ones in the same order (UNECE R156). */
function factRows(facts: ApprovalFacts): readonly (readonly [string, readonly string[]])[] {
  const nameWidth = Math.max(...facts.ecus.map((ecu) => textWidth(ecu.name)));
  return [
    ['Why', [facts.purpose]],
    [
      'What changes',
      facts.ecus.map(
        (ecu) =>
          `${padText(ecu.name, nameWidth)}  ${ecu.from} → ${ecu.to}${ecu.changes === '' ? '' : `   ${ecu.changes}`}`,
      ),
    ],
    ['How long', [durationText(facts.durationSeconds)]],
    ['Not usable', [facts.unavailable.length === 0 ? 'nothing' : facts.unavailable.join(', ')]],
    ['What to do', [facts.instructions]],
  ];
}

const LABEL_COLUMNS = 14;
const NARROW_COLUMNS = 36;
const MARGIN = '  ';

/**
 * The screen, at most `rows` lines of at most `columns` columns. The request and its keys are always shown; facts that
 * do not fit are cut, and a line says so.
 */
export function renderPrompt(
  view: DriverView,
  columns: number,
  rows: number,
  colour = false,
): string[] {
  const c = pc.createColors(colour);
  const width = Math.max(1, columns - 2 * MARGIN.length);
  const { approval } = view;
  const vin = approval.kind === 'idle' ? '' : approval.request.facts.vin;
  const title = padText('CENTRAL GATEWAY', Math.max(0, width - textWidth(vin)));
  const head = [c.bold(cutText(`${title}${vin}`, width)), c.dim('─'.repeat(width)), ''];
  const body: string[] = [];
  const told = approval.kind === 'answered' && isInformation(approval.request);
  if (view.outcome !== undefined && approval.kind !== 'asking') {
    body.push(c.dim(cutText(`${OUTCOME_LABEL}:`, width)));
    for (const line of wrapText(view.outcome, width)) body.push(c.bold(line));
    body.push('');
  }
  if (approval.kind === 'asking' || (told && view.outcome === undefined)) {
    const { facts } = approval.request;
    const title = facts.forced ? 'SAFETY UPDATE' : WORDS[facts.phase].title;
    body.push(c.bold(c.yellow(cutText(title, width))), '');
    // In a narrow window a label is above its text instead of beside it.
    const beside = width >= NARROW_COLUMNS;
    const textColumns = beside ? width - LABEL_COLUMNS : width;
    for (const [label, paragraphs] of factRows(approval.request.facts)) {
      const lines = paragraphs.flatMap((paragraph) => wrapText(paragraph, textColumns));
      if (!beside) body.push(c.bold(cutText(label, width)));
      lines.forEach((line, index) => {
        const margin = beside ? padText(index === 0 ? label : '', LABEL_COLUMNS) : '';
        body.push(`${c.bold(margin)}${line}`);
      });
      body.push('');
    }
  } else if (view.outcome === undefined) {
    for (const line of wrapText(outcomeText(approval, view.clockText), width))
      body.push(c.bold(line));
    body.push('');
    if (approval.kind === 'answered') {
      for (const ecu of approval.request.facts.ecus) {
        body.push(cutText(`${ecu.name}  ${ecu.from} → ${ecu.to}`, width));
      }
      body.push('');
    }
  }
  if (view.outcome === undefined && approval.kind !== 'asking') {
    const rows = (view.progress ?? []).map((progress) => progressRow(progress, width));
    if (rows.length > 0) body.push(...rows, '');
  }
  const foot = footer(view, width, c);
  // When the window is too small, the title is left out first, then empty lines, then facts
  // from the last one on; the keys are always shown.
  if (head.length + body.length + foot.length > rows) head.length = 0;
  const room = Math.max(0, rows - head.length - foot.length);
  if (body.length > room) {
    const dense = body.filter((line) => line !== '');
    const cut = dense.length > room;
    body.splice(0, body.length, ...dense.slice(0, cut ? Math.max(0, room - 1) : room));
    if (cut && room > 0) body.push(c.dim(cutText('… the window is too small for the rest', width)));
  }
  const margin = columns > 2 * MARGIN.length ? MARGIN : '';
  return [...head, ...body, ...foot].slice(-Math.max(1, rows)).map((line) => `${margin}${line}`);
}

/** `EDT               ████████████░░░░░░░░░░░░  52 %` */
function progressRow({ ecu, received, total }: UpdateProgress, width: number): string {
  const share = total === 0 ? 1 : Math.min(1, received / total);
  const text = `${Math.floor(share * 100)} %`.padStart(6);
  const name = padText(ecu, Math.min(LABEL_COLUMNS, Math.max(0, width - text.length)));
  const columns = Math.max(0, Math.min(40, width - textWidth(name) - text.length));
  const bar = '█'.repeat(Math.round(share * columns)).padEnd(columns, '░');
  return cutText(`${name}${bar}${text}`, width);
}

function footer(view: DriverView, width: number, c: ReturnType<typeof pc.createColors>): string[] {
  const { approval } = view;
  if (approval.kind === 'asking') {
    const leftMs = Math.max(0, approval.deadlineMs - view.nowMs);
    const seconds = Math.ceil(leftMs / 1000);
    const text = ` ${seconds} s`;
    const barColumns = Math.max(0, Math.min(40, width - textWidth(text)));
    const filled = Math.round((barColumns * leftMs) / Math.max(1, view.timeoutMs));
    const bar = '█'.repeat(Math.min(barColumns, filled)).padEnd(barColumns, '░');
    const urgent = seconds <= 10 ? c.red : c.yellow;
    const denying = view.denying === true;
    const question = denying
      ? 'Deny this update? It will not be offered again by itself.'
      : WORDS[approval.request.facts.phase].question;
    return [
      c.bold(cutText(question, width)),
      '',
      keys(denying ? CONFIRM_KEYS : keysFor('asking'), width, c),
      '',
      urgent(cutText(`${bar}${text}`, width)),
      c.dim(cutText('No answer counts as not approved.', width)),
    ];
  }
  const lines: string[] = [];
  if (
    approval.kind === 'answered' &&
    isInformation(approval.request) &&
    view.outcome === undefined
  ) {
    for (const line of wrapText(outcomeText(approval, view.clockText), width))
      lines.push(c.bold(line));
    lines.push('');
  }
  if (canWithdraw(approval)) lines.push(keys(keysFor('approved'), width, c), '');
  if (canAskAgain(approval)) lines.push(keys(keysFor('refused'), width, c), '');
  lines.push(c.dim(cutText(view.status, width)));
  return lines;
}

function keys(
  rows: readonly Pick<DriverKey, 'key' | 'label' | 'short'>[],
  width: number,
  c: ReturnType<typeof pc.createColors>,
): string {
  const entries = rows.map(({ key, label, short }) => [key.toUpperCase(), label, short] as const);
  const plain = entries.map(([key, label]) => `[${key}] ${label}`);
  if (textWidth(plain.join('    ')) > width) {
    // Too narrow for the words: show the keys alone.
    const short = entries.map(([key, , word]) => `${key}=${word}`).join(' ');
    if (textWidth(short) <= width) return short;
    return cutText(entries.map(([key]) => key).join('/'), width);
  }
  return entries.map(([key, label]) => `${c.inverse(` ${key} `)} ${label}`).join('    ');
}

/** The request without a screen: lines for a log or a pipe. */
export function questionLines(facts: ApprovalFacts, seconds: number): string[] {
  return [
    ...factLines(facts),
    `  ${WORDS[facts.phase].question}`,
    `  answer within ${seconds} s: ${wordsFor('asking')}`,
  ];
}

/** An information for the driver without a screen. */
export function informationLines(
  approval: ApprovalState,
  clockText: (unixS: number) => string,
): string[] {
  if (approval.kind === 'idle') return [];
  return [...factLines(approval.request.facts), `  ${outcomeText(approval, clockText)}`];
}

function factLines(facts: ApprovalFacts): string[] {
  return [
    `${facts.forced ? 'safety update' : 'software update'} for ${facts.vin}`,
    ...factRows(facts).flatMap(([label, paragraphs]) =>
      paragraphs.map((text) => `  ${padText(`${label}:`, LABEL_COLUMNS)}${text}`),
    ),
  ];
}
