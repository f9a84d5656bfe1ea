// The answers of the driver: one table of keys and words for screen, lines, help and documentation.

export type DriverAnswer =
  | { readonly kind: 'approve' }
  | { readonly kind: 'later'; readonly minutes: number }
  /** Later, after the ignition was switched off. */
  | { readonly kind: 'later-ignition' }
  | { readonly kind: 'deny' }
  /** Withdraws an approval. */
  | { readonly kind: 'withdraw' }
  /** The driver wants to be asked again now. */
  | { readonly kind: 'again' };

/** Longest `later`: a week. */
export const MAX_LATER_MINUTES = 7 * 24 * 60;

/** `asking`: a question is open. `approved`: an approval can be taken back. `refused`: the driver may want the question again. */
type Situation = 'asking' | 'approved' | 'refused';

export interface DriverKey {
  /** On the screen, in either case. */
  readonly key: string;
  /** On a line; the key alone is understood there, too. */
  readonly word: string;
  /** Beside the key on the screen; the short one where there is no room. */
  readonly label: string;
  readonly short: string;
  readonly when: Situation;
  readonly answer: DriverAnswer;
}

/** What `later` without minutes means. */
const LATER_MINUTES = 60;

export const DRIVER_KEYS = [
  {
    ...{ key: 'a', word: 'approve', label: 'Approve', short: 'Approve', when: 'asking' },
    answer: { kind: 'approve' },
  },
  {
    ...{ key: 'l', word: 'later', label: 'Later (1 hour)', short: 'Later', when: 'asking' },
    answer: { kind: 'later', minutes: LATER_MINUTES },
  },
  {
    ...{ key: 'i', word: 'later ignition', label: 'Later (ignition off)' },
    ...{ short: 'Ignition', when: 'asking', answer: { kind: 'later-ignition' } },
  },
  {
    ...{ key: 'd', word: 'deny', label: 'Deny', short: 'Deny', when: 'asking' },
    answer: { kind: 'deny' },
  },
  {
    ...{ key: 'w', word: 'withdraw', label: 'Withdraw the approval', short: 'Withdraw' },
    ...{ when: 'approved', answer: { kind: 'withdraw' } },
  },
  {
    ...{ key: 'n', word: 'now', label: 'Now after all', short: 'Now', when: 'refused' },
    answer: { kind: 'again' },
  },
] as const satisfies readonly DriverKey[];

/** After the first `deny`: the second one counts, and any other key leads back to the question. */
export const CONFIRM_KEYS = [
  { key: 'd', label: 'Deny', short: 'Deny' },
  { key: 'b', label: 'Back', short: 'Back' },
] as const;

/** Besides `deny` itself: what confirms it. */
const CONFIRM_WORDS: readonly string[] = ['deny', 'd', 'yes', 'y'];

export function confirmsDeny(text: string): boolean {
  return CONFIRM_WORDS.includes(text.toLowerCase());
}

export function keysFor(situation: Situation): readonly DriverKey[] {
  return DRIVER_KEYS.filter(({ when }) => when === situation);
}

/** The answer of one key on the screen. */
export function answerOfKey(key: string): DriverAnswer | undefined {
  return DRIVER_KEYS.find((row) => row.key === key.toLowerCase())?.answer;
}

/** `approve`, `later`, `later 15`, `later ignition`, `deny`, `withdraw`, `now`, or a key; undefined for anything else. */
export function answerOfLine(line: string): DriverAnswer | undefined {
  const text = line.trim().toLowerCase().replaceAll(/\s+/g, ' ');
  if (text === 'now after all') return { kind: 'again' };
  const [, given] = /^(?:later|l) (\d{1,5})$/.exec(text) ?? [];
  if (given !== undefined) {
    const minutes = Number(given);
    return minutes >= 1 && minutes <= MAX_LATER_MINUTES ? { kind: 'later', minutes } : undefined;
  }
  return DRIVER_KEYS.find(({ key, word }) => text === word || text === key)?.answer;
}

/** `approve | later [minutes] | later ignition | deny`: what may be typed on a line. */
export function wordsFor(situation: Situation): string {
  return keysFor(situation).map(lineWord).join(' | ');
}

/** The same for all situations, for a line that was not understood. */
export function allWords(): string {
  const words = DRIVER_KEYS.map(lineWord);
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}

function lineWord({ word }: { readonly word: string }): string {
  return word === 'later' ? 'later [minutes]' : word;
}

/** For `--help`: each key with its word. */
export function keysHelp(): string {
  const rows = DRIVER_KEYS.map((row) => `  ${row.key}  ${lineWord(row).padEnd(16)}  ${row.label}`);
  return `\nThe driver's answers, as a key on the screen or as a word on a line (deny is asked for twice):\n${rows.join('\n')}`;
}
