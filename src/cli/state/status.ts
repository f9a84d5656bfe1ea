// `can-ota status`: what a TMU is doing, from its journal, and what it does next, also when it does not run.

import { mixedText } from '../../campaign/mixed.ts';
import { nextStep, nextStepAfterRestart } from '../../campaign/next.ts';
import { replay } from '../../campaign/reducer.ts';
import type { CampaignState } from '../../campaign/state.ts';
import { type Clock, sleep, systemClock } from '../../core/clock.ts';
import { pc } from '../../core/colours.ts';
import type { Context } from '../../core/context.ts';
import { ExitCode } from '../../core/exit-code.ts';
import { folderOwner } from '../../core/lock.ts';
import { formatRate, formatShare } from '../../core/units.ts';
import { isByDriver } from '../../tmu/asked-again.ts';
import type { MemoryContent } from '../../tmu/memory.ts';
import { type CommonOptions, runCommand } from '../context.ts';
import {
  readJournals,
  readMemory,
  readProgress,
  type StoredStatus,
  type StoredTransfer,
} from './state-folder.ts';
import { readServices, type ServicesStatus, servicesLines } from './state-services.ts';

export interface StatusOptions extends CommonOptions {
  readonly stateDir: string;
  readonly watch?: boolean;
}

export interface TmuStatus {
  readonly state: CampaignState['kind'];
  readonly campaign: string | null;
  /** Time of the last record in the journal; null for an empty journal. */
  readonly since: string | null;
  readonly daemon: { readonly running: boolean; readonly pid: number | null };
  /** One sentence about the next step. */
  readonly next: string;
  readonly ecus: readonly TmuStatusEcu[];
  /** In the declared mixed state: what each ECU runs. */
  readonly mixed: string | null;
  /** 0 to 100, or ERROR; the value of the last cycle when no campaign runs. */
  readonly progress: string | null;
  /** Releases that the driver has denied or put off, and that are still offered. */
  readonly refused: readonly StatusRefusal[];
  /** When both repositories were last verified; null before the first time. */
  readonly lastCheck: string | null;
  /** Time since which no check has passed; null when the last one has passed. */
  readonly noCheckSince: string | null;
  readonly last: { readonly outcome: string; readonly reason: string | null } | null;
  readonly lastError: string | null;
  readonly nextPoll: string | null;
  /** Configuration, commands and telemetry; null where this vehicle has none of them. */
  readonly services: ServicesStatus | null;
}

export interface StatusRefusal {
  readonly releases: readonly { readonly ecu: string; readonly version: string }[];
  /** `DENIED`, `LATER`, `TIMED_OUT`, `WITHDRAWN`. */
  readonly code: string;
  readonly since: string | null;
  /** When the driver is asked next: a time, the next ignition off, or null: not without an order. */
  readonly askedNext: string | 'ignition-off' | null;
}

export interface TmuStatusEcu {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  /** `stage`, `stage done`, ...; null before the first step, or when the daemon does not run. */
  readonly step: string | null;
  readonly transfer: StoredTransfer | null;
}

const WATCH_MS = 1000;

export function status(options: StatusOptions): Promise<void> {
  return runCommand(options, async (context) => {
    let shown = await show(options.stateDir, context, '');
    while (options.watch === true && !context.signal.aborted) {
      const end = await sleep(systemClock, 'status-watch', WATCH_MS, context.signal);
      if (end === 'elapsed') shown = await show(options.stateDir, context, shown.key);
    }
    if (options.watch === true) return context.interruption();
    return shown.status.state === 'safe-state' ? ExitCode.rollbackFailed : ExitCode.success;
  });
}

/** Prints the status when it has changed. */
async function show(
  folder: string,
  context: Context,
  before: string,
): Promise<{ readonly status: TmuStatus; readonly key: string }> {
  const current = await readStatus(folder);
  const key = JSON.stringify(current);
  if (key === before) return { status: current, key };
  context.emit(current);
  if (before !== '') context.say('');
  for (const line of statusLines(current)) context.say(line);
  return { status: current, key };
}

/** Throws InputError when `folder` is not a folder, StorageError for files that cannot be read. */
export async function readStatus(
  folder: string,
  clock: Pick<Clock, 'wallMs'> = systemClock,
): Promise<TmuStatus> {
  const { current: records } = await readJournals(folder);
  const { progress, status: stored } = await readProgress(folder);
  const owner = await folderOwner(folder);
  const state = replay(records);
  const campaign = campaignOf(state);
  // A status of another campaign, or of a daemon that has ended, does not say what happens now.
  const isOfThis = campaign === undefined || stored?.campaign === campaign.id;
  const live = owner !== undefined && isOfThis ? stored : null;
  const last = records.at(-1);
  const { nextPoll = null } = live ?? {};
  const memory = await readMemory(folder);
  return {
    state: state.kind,
    campaign: campaign?.id ?? null,
    since: last === undefined ? null : new Date(last.wallMs).toISOString(),
    daemon: { running: owner !== undefined, pid: owner?.pid ?? null },
    next: nextText(state, owner !== undefined),
    ecus: campaign === undefined ? [] : ecusOf(campaign.plan.items, live),
    mixed: state.kind === 'safe-state' ? mixedText(state) : null,
    progress,
    refused: refusalsOf(memory ?? { remembered: [], verified: null }),
    lastCheck: isoOf(memory?.verified?.atWallMs),
    noCheckSince: isoOf(memory?.failingSinceWallMs),
    last:
      stored?.outcome == null ? null : { outcome: stored.outcome, reason: stored.reason ?? null },
    lastError: live?.lastError ?? null,
    nextPoll: nextPoll !== null && Date.parse(nextPoll) >= clock.wallMs() ? nextPoll : null,
    services: await readServices(folder),
  };
}

function campaignOf(state: CampaignState) {
  return 'campaign' in state ? state.campaign : undefined;
}

function nextText(state: CampaignState, isRunning: boolean): string {
  return isRunning
    ? nextStep(state)
    : `when the daemon is started again, it ${nextStepAfterRestart(state)}`;
}

function ecusOf(
  items: readonly { ecu: string; from: { version: string }; to: { version: string } }[],
  live: StoredStatus | null,
): TmuStatusEcu[] {
  return items.map(({ ecu, from, to }) => {
    const said = live?.ecus[ecu];
    const download = live?.download?.ecu === ecu ? live.download : null;
    return {
      name: ecu,
      from: from.version,
      to: to.version,
      step: said?.step ?? (download === null ? null : 'download'),
      transfer: said?.transfer ?? transferOf(download),
    };
  });
}

function transferOf(download: StoredStatus['download']): StoredTransfer | null {
  if (download === null) return null;
  const { sent, total, bytesPerSecond, secondsLeft } = download;
  return { sent, total, bytesPerSecond, secondsLeft };
}

/** The status as lines of text. */
export function statusLines(status: TmuStatus): string[] {
  const { state, campaign, since, daemon, ecus, mixed, last } = status;
  const at = campaign === null || since === null ? '' : ` since ${since}`;
  const what = campaign === null ? '' : `, campaign ${campaign}`;
  const width = Math.max(0, ...ecus.map(({ name }) => name.length));
  return [
    `${pc.bold(state)}${what}${at}`,
    ...ecus.map((ecu) => `  ${ecu.name.padEnd(width)}  ${ecuText(ecu)}`),
    ...(mixed === null ? [] : [pc.red(`mixed: ${mixed}`)]),
    daemon.running
      ? `daemon: ${daemon.pid === null ? 'a process' : `process ${daemon.pid}`} works on it`
      : 'daemon: none is running',
    ...status.refused.map(refusalText),
    ...(status.noCheckSince === null ? [] : [checkText(status.noCheckSince, status.lastCheck)]),
    ...(campaign !== null || last === null ? [] : [`last: ${lastText(last)}`]),
    ...(status.lastError === null ? [] : [`error: ${status.lastError}`]),
    ...(status.services === null ? [] : servicesLines(status.services)),
    `next: ${status.next}`,
    ...(status.nextPoll === null ? [] : [pc.dim(`next poll: ${status.nextPoll}`)]),
  ];
}

function refusalsOf({
  remembered,
  verified,
}: Pick<MemoryContent, 'remembered' | 'verified'>): StatusRefusal[] {
  const offered = (release: { ecu: string; version: string }): boolean =>
    verified === null ||
    verified.offers.some(({ ecu, version }) => ecu === release.ecu && version === release.version);
  return remembered.flatMap((entry) => {
    const { releases = [], code, atWallMs, notBeforeWallMs, until } = entry;
    if (!isByDriver(entry) || code === undefined || !releases.every(offered)) return [];
    const next = notBeforeWallMs === null ? null : new Date(notBeforeWallMs).toISOString();
    const since = atWallMs === undefined ? null : new Date(atWallMs).toISOString();
    return [{ releases, code, since, askedNext: until ?? next }];
  });
}

function isoOf(wallMs: number | null | undefined): string | null {
  return wallMs === null || wallMs === undefined ? null : new Date(wallMs).toISOString();
}

function checkText(since: string, last: string | null): string {
  const before = last === null ? 'none before' : `the last one on ${last}`;
  return `backend: no check has passed since ${since} (${before})`;
}

const REFUSAL_WORDS: Readonly<Record<string, string>> = {
  DENIED: 'denied by the driver',
  LATER: 'put off by the driver',
  TIMED_OUT: 'not answered by the driver',
  WITHDRAWN: 'withdrawn by the driver',
};

function refusalText({ releases, code, since, askedNext }: StatusRefusal): string {
  const what = releases.map(({ ecu, version }) => `${ecu} ${version}`).join(', ');
  const when = since === null ? '' : ` at ${since}`;
  const next =
    askedNext === null
      ? 'the driver is not asked again automatically: type "now" on the console, or run can-ota campaign ask-again'
      : askedNext === 'ignition-off'
        ? 'the driver is asked again after the ignition was switched off'
        : `the driver is asked again after ${askedNext}`;
  return `refused: ${what}, ${REFUSAL_WORDS[code] ?? code}${when}; ${next}`;
}

function lastText({ outcome, reason }: NonNullable<TmuStatus['last']>): string {
  return reason === null ? outcome : `${outcome}: ${reason}`;
}

function ecuText({ from, to, step, transfer }: TmuStatusEcu): string {
  const facts = [`${from} -> ${to}`, ...(step === null ? [] : [step])];
  if (transfer !== null && transfer.total > 0 && transfer.sent < transfer.total) {
    const { sent, total, bytesPerSecond, secondsLeft } = transfer;
    facts.push(formatShare(sent / total), formatRate(bytesPerSecond));
    if (secondsLeft !== null) facts.push(`${secondsLeft} s left`);
  }
  return facts.join(', ');
}
