// Turns the stream of events into the status files, and limits the progress events that reach the listener.

import type { Campaign, CampaignState } from '../campaign/state.ts';
import type { Clock } from '../core/clock.ts';
import { type Progress, RateMeter, type Status, type StatusFiles } from './status.ts';
import type { TmuEvent } from './tmu-event.ts';

/** Progress events of one transfer are passed on at most ten times a second; the first and the last always. */
const PROGRESS_MS = 100;

interface Transfer {
  readonly meter: RateMeter;
  sent: number;
  passedMs: number;
}

export class StatusTracker {
  readonly #files: StatusFiles;
  readonly #clock: Clock;
  readonly #transfers = new Map<string, Transfer>();
  #stateKind: CampaignState['kind'] | undefined;
  /** By ECU: bytes of its image, downloaded and programmed. */
  #work = new Map<string, { size: number; downloaded: number; programmed: number }>();

  constructor(files: StatusFiles, clock: Clock) {
    this.#files = files;
    this.#clock = clock;
  }

  /** A campaign begins or continues. */
  campaign(campaign: Campaign): void {
    this.#transfers.clear();
    this.#work = new Map(
      campaign.plan.items.map(({ ecu, to }) => [
        ecu,
        { size: to.size, downloaded: 0, programmed: 0 },
      ]),
    );
    const ecus: Record<string, Status['ecus'][string]> = {};
    for (const { ecu, from, to } of campaign.plan.items) {
      ecus[ecu] = { from: from.version, to: to.version, step: null, transfer: null };
    }
    const last = { outcome: null, code: null, reason: null, lastError: null, nextPoll: null };
    this.#files.set({ campaign: campaign.id, ecus, download: null, ...last }, 0);
  }

  isNewState(state: CampaignState): boolean {
    if (state.kind === this.#stateKind) return false;
    this.#stateKind = state.kind;
    // After the download everything is on disk.
    if (!['idle', 'checking', 'downloading'].includes(state.kind)) {
      for (const work of this.#work.values()) work.downloaded = work.size;
    }
    return true;
  }

  error(text: string): void {
    this.#files.set({ lastError: text }, 'ERROR');
  }

  /** False: the listener does not get the event. */
  take(event: TmuEvent): boolean {
    switch (event.kind) {
      case 'state':
        this.#files.set({ state: event.state });
        return true;
      case 'download-progress': {
        const { ecu, file, received, total } = event;
        const { transfer, pass } = this.#transfer(`download ${ecu}`, received, total);
        const work = this.#work.get(ecu);
        // An encrypted blob is a little longer than its image.
        if (work !== undefined) work.downloaded = Math.round((received / total) * work.size);
        this.#files.set(
          { download: { ecu, file, ...transfer.meter.at(received, total) } },
          this.#percent(),
        );
        return pass;
      }
      case 'ecu-progress': {
        const { ecu, sent, total } = event;
        const { transfer, pass } = this.#transfer(`ecu ${ecu}`, sent, total);
        const work = this.#work.get(ecu);
        if (work !== undefined) work.programmed = Math.round((sent / total) * work.size);
        this.#setEcu(ecu, { transfer: transfer.meter.at(sent, total) }, this.#percent());
        return pass;
      }
      case 'ecu-step':
        if (event.step !== 'identify') {
          const step = event.status === 'begun' ? event.step : `${event.step} ${event.status}`;
          this.#setEcu(event.ecu, { step });
        }
        return true;
      case 'retry':
        this.#files.set({ lastError: event.reason });
        return true;
      case 'outcome':
        this.#outcome(event);
        return true;
      case 'next-poll': {
        const nextPoll = new Date(this.#clock.wallMs() + event.inMs).toISOString();
        this.#files.set({ nextPoll });
        return true;
      }
      case 'verified': {
        const { director, images } = event;
        const at = new Date(this.#clock.wallMs()).toISOString();
        this.#files.set({ verified: { at, director, images }, attack: null });
        return true;
      }
      case 'attack': {
        const { code, where, reason } = event;
        this.#files.set({ attack: { code, where, reason } });
        return true;
      }
      case 'plan':
      case 'approval':
      case 'cancel':
      case 'configuration':
      case 'command':
      case 'telemetry':
      case 'contact':
      case 'warning':
        return true;
    }
  }

  #outcome(event: Extract<TmuEvent, { kind: 'outcome' }>): void {
    const { outcome, code = null, reason = null } = event;
    const failed = progressOf(outcome);
    this.#files.set(
      {
        outcome,
        code,
        reason,
        download: null,
        ...(failed === 'ERROR' ? { lastError: reason ?? outcome } : {}),
      },
      failed,
    );
  }

  #transfer(key: string, sent: number, total: number): { transfer: Transfer; pass: boolean } {
    const nowMs = this.#clock.nowMs();
    let transfer = this.#transfers.get(key);
    let pass = sent === 0 || sent === total;
    if (transfer === undefined || sent < transfer.sent) {
      // A transfer that restarts gets a new rate.
      transfer = { meter: new RateMeter(this.#clock, sent), sent, passedMs: nowMs };
      this.#transfers.set(key, transfer);
      pass = true;
    }
    if (nowMs - transfer.passedMs >= PROGRESS_MS) pass = true;
    if (pass) transfer.passedMs = nowMs;
    transfer.sent = sent;
    return { transfer, pass };
  }

  #setEcu(ecu: string, change: Partial<Status['ecus'][string]>, progress?: Progress): void {
    const { ecus } = this.#files.status;
    const before = ecus[ecu];
    if (before === undefined) return;
    this.#files.set({ ecus: { ...ecus, [ecu]: { ...before, ...change } } }, progress);
  }

  /** Half for the downloads, half for the programming; only success is 100. */
  #percent(): Progress {
    let total = 0;
    let done = 0;
    for (const { size, downloaded, programmed } of this.#work.values()) {
      total += 2 * size;
      done += downloaded + programmed;
    }
    return total === 0 ? 0 : Math.min(99, Math.floor((100 * done) / total));
  }
}

function progressOf(outcome: string): Progress | undefined {
  switch (outcome) {
    case 'SUCCESS':
    case 'UP_TO_DATE':
      return 100;
    case 'USER_REJECTED':
    case 'DEFERRED':
      return 0;
    case 'INTERRUPTED':
      return undefined;
    default:
      return 'ERROR';
  }
}
