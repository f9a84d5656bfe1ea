// The forward steps of a campaign: each report of an ECU moves the campaign on, group by group.

import { defined } from '../core/optional.ts';
import { UNKNOWN_VERSION } from '../core/version-order.ts';
import { noted, worse } from './changes.ts';
import type { EventOf } from './event.ts';
import { includes, nextGroup, nextPerBus, without } from './group.ts';
import { over } from './result.ts';
import { type CampaignState, isCommitting, type StateOf, type Transfer } from './state.ts';
import { undo } from './way-back.ts';

export function staged(state: CampaignState, event: EventOf<'staged'>): CampaignState {
  if (state.kind !== 'staging' || state.gate !== null) return state;
  const { campaign } = state;
  if (!includes(nextPerBus(campaign.plan, Object.keys(state.staged)), event.ecu)) return state;
  const done = { ...state.staged, [event.ecu]: transferOf(event) };
  const changes = noted(state.changes, 'stage', [event.ecu], event.changed);
  if (campaign.plan.items.every(({ ecu }) => done[ecu] !== undefined)) {
    if (campaign.asks.includes('activate')) {
      return {
        kind: 'awaiting-approval',
        campaign,
        phase: 'activate',
        staged: done,
        changes,
        restarts: 0,
      };
    }
    return { ...state, staged: done, changes, gate: 'activate', tries: {}, restarts: 0 };
  }
  return { ...state, staged: done, changes, tries: without(state.tries, event.ecu), restarts: 0 };
}

export function activated(state: CampaignState, event: EventOf<'activated'>): CampaignState {
  if (state.kind !== 'activating') return state;
  const { plan } = state.campaign;
  if (!includes(nextGroup(plan, state.activated), event.ecu)) return state;
  const names = [...state.activated, event.ecu];
  // The ECU runs the new software, so there is something to roll back even when an earlier try changed it.
  const changed = worse(event.changed, 'unknown');
  const changes = noted(state.changes, 'activate', [event.ecu], changed);
  const before = state.transfers[event.ecu];
  // A single-bank ECU is written by its activation: its bytes come with this event, its trouble codes with `staged`.
  const transfers =
    event.bytes > 0 || before === undefined
      ? {
          ...state.transfers,
          [event.ecu]: {
            ...transferOf(event),
            ...defined({ dtcs: before?.dtcs }),
          },
        }
      : state.transfers;
  if (names.length < plan.items.length) {
    const tries = without(state.tries, event.ecu);
    return { ...state, transfers, changes, activated: names, tries, restarts: 0 };
  }
  const { campaign } = state;
  return { kind: 'verifying', campaign, transfers, changes, verified: {}, tries: {}, restarts: 0 };
}

export function verified(state: CampaignState, event: EventOf<'verified'>): CampaignState {
  if (state.kind !== 'verifying') return state;
  const { campaign } = state;
  const item = nextGroup(campaign.plan, Object.keys(state.verified)).find(
    (candidate) => candidate.ecu === event.ecu,
  );
  if (item === undefined) return state;
  const { version, sha256, ecu } = event;
  const { to } = item;
  // null: the ECU does not report it, and the driver has decided that this kind of ECU need not.
  if (sha256 !== null && sha256 !== to.sha256) {
    const reason = `${ecu} runs an image with SHA-256 ${sha256} after activation, expected ${to.sha256}`;
    return undo(state, { outcome: 'ROLLBACK_COMPLETED', code: 'DIGEST_MISMATCH', reason, ecu }, [
      ecu,
    ]);
  }
  // Without a named version (a person programs one ECU) every reported version is accepted.
  const isNamed = to.version !== UNKNOWN_VERSION;
  if (isNamed && version !== null && version !== to.version) {
    const reason = `${ecu} reports version ${JSON.stringify(version)} after activation, expected ${to.version}`;
    return undo(state, { outcome: 'ROLLBACK_COMPLETED', code: 'VERSION_MISMATCH', reason, ecu }, [
      ecu,
    ]);
  }
  const { commitment } = event;
  const told = { version, sha256, ...defined({ commitment }) };
  const done = { ...state.verified, [ecu]: told };
  if (Object.keys(done).length < campaign.plan.items.length) {
    return { ...state, verified: done, tries: without(state.tries, ecu), restarts: 0 };
  }
  return {
    kind: 'committing',
    campaign,
    transfers: state.transfers,
    changes: state.changes,
    verified: done,
    confirmed: [],
    receipts: {},
    committed: [],
    uncommitted: [],
    tries: {},
    restarts: 0,
  };
}

export function confirmed(
  state: CampaignState,
  { ecu, receipt }: EventOf<'confirmed'>,
): CampaignState {
  if (state.kind !== 'committing') return state;
  if (!includes(nextGroup(state.campaign.plan, state.confirmed), ecu)) return state;
  const names = [...state.confirmed, ecu];
  const receipts = receipt === undefined ? state.receipts : { ...state.receipts, [ecu]: receipt };
  return { ...state, confirmed: names, receipts, tries: without(state.tries, ecu), restarts: 0 };
}

export function committed(state: CampaignState, { ecu }: EventOf<'committed'>): CampaignState {
  if (!isCommitting(state)) return state;
  const open = nextGroup(state.campaign.plan, [...state.committed, ...state.uncommitted]);
  if (!includes(open, ecu)) return state;
  const names = [...state.committed, ecu];
  const tries = without(state.tries, ecu);
  return succeedWhenDone({ ...state, committed: names, tries, restarts: 0 });
}

/**
 * Notes a commit that failed. All ECUs are confirmed, so no rollback is possible; the commit is owed and tried later.
 */
export function owe(
  state: StateOf<'committing'>,
  ecus: readonly string[],
  reason: string,
): CampaignState {
  const warnings = ecus.map(
    (ecu) =>
      `${ecu} runs the new version for good, but its security counter is not raised yet (${reason}); ` +
      'it is tried again at every start and cycle',
  );
  const { campaign } = state;
  return succeedWhenDone({
    ...state,
    campaign: { ...campaign, warnings: [...campaign.warnings, ...warnings] },
    uncommitted: [...state.uncommitted, ...ecus],
    tries: ecus.reduce(without, state.tries),
    restarts: 0,
  });
}

function succeedWhenDone(state: StateOf<'committing'>): CampaignState {
  const { campaign, committed: names, uncommitted, transfers, changes, verified } = state;
  if (names.length + uncommitted.length < campaign.plan.items.length) return state;
  return over(campaign, 'SUCCESS', {
    ...{ transfers, changes, reported: verified, uncommitted },
    receipts: Object.values(state.receipts),
  });
}

function transferOf(event: EventOf<'staged'> | EventOf<'activated'>): Transfer {
  const { bytes, seconds, resumedAt } = event;
  return {
    bytes,
    seconds,
    ...defined({ resumedAt }),
    ...('dtcs' in event && event.dtcs !== undefined ? { dtcs: event.dtcs } : {}),
  };
}
