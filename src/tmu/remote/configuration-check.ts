// Checks a wanted configuration: each parameter alone, against this vehicle, and all of them together. Pure.

import type { ApprovalPhase } from '../../campaign/ports.ts';
import { sortedJson } from '../../contract/catalogue-digest.ts';
import type { Catalogue } from '../../contract/command.ts';
import {
  type CheckedParameter,
  type Configuration,
  checkParameter,
  PARAMETER_NAMES,
  PARAMETERS,
  type ParameterName,
  type ParameterResult,
  type RejectionCode,
  type WantedParameters,
} from '../../contract/configuration.ts';
import type { EcuServices } from '../../contract/ecu-services.ts';

/** What a vehicle can do and what it allows. */
export interface VehicleLimits {
  readonly ecus: Pick<EcuServices, 'catalogue' | 'knows'>;
  /** Approval policy of the vehicle file: a configuration may require more approvals, never fewer. */
  readonly approval: Readonly<Record<ApprovalPhase, 'ask' | 'none'>>;
  /** Whether there is a console on which the driver can be asked. */
  readonly canAsk: boolean;
}

/**
 * Most DIDs read in a second, over all ECUs. One DID is a request and an answer of one to three frames, about 400 bits
 * on the wire: ten of them are below 1 % of a bus with 500 kbit/s.
 */
const MAX_READS_PER_SECOND = 10;
const MAX_REASON = 500;
/** Most results in one report (src/contract/sync.ts). */
const MAX_RESULTS = 64;

export interface Judgement {
  readonly results: readonly ParameterResult[];
  readonly inForce: Configuration;
}

/** A parameter that is missing goes back to its default; a rejected parameter keeps its old value. */
export function checkConfiguration(
  wanted: WantedParameters,
  before: Configuration,
  vehicle: VehicleLimits,
): Judgement {
  const rejected = new Map<string, { code: RejectionCode; reason: string }>();
  const values: Record<string, unknown> = { ...before };
  for (const name of PARAMETER_NAMES) {
    const given = Object.hasOwn(wanted, name) ? wanted[name] : PARAMETERS[name].default;
    const checked = checkHere(name, given, vehicle);
    if (checked.ok) values[name] = checked.value;
    else rejected.set(name, checked);
  }
  const hasChanged = (name: ParameterName): boolean =>
    sortedJson(values[name]) !== sortedJson(before[name]);
  // Each round undoes at least one change, and the old values fit together, so the loop ends.
  for (;;) {
    const conflict = conflictIn(values as Configuration);
    const culprits = conflict?.between.filter(hasChanged) ?? [];
    if (conflict === undefined || culprits.length === 0) break;
    for (const name of culprits) {
      rejected.set(name, { code: 'CONFLICT', reason: conflict.reason });
      values[name] = before[name];
    }
  }
  const unknown = Object.keys(wanted).filter((name) => !Object.hasOwn(PARAMETERS, name));
  for (const name of unknown) {
    const checked = checkParameter(name, wanted[name]);
    if (!checked.ok) rejected.set(name, checked);
  }
  const results = [...PARAMETER_NAMES, ...unknown].map((parameter): ParameterResult => {
    const problem = rejected.get(parameter);
    if (problem !== undefined) {
      const reason = problem.reason.slice(0, MAX_REASON);
      return { parameter, status: 'rejected', code: problem.code, reason };
    }
    const status = hasChanged(parameter as ParameterName) ? 'accepted' : 'unchanged';
    return { parameter, status };
  });
  return { results: results.slice(0, MAX_RESULTS), inForce: values as Configuration };
}

/** Checks one parameter, alone and against this vehicle. */
export function checkHere(
  name: ParameterName,
  value: unknown,
  vehicle: VehicleLimits,
): CheckedParameter {
  const checked = checkParameter(name, value);
  if (!checked.ok) return checked;
  return problemHere(name, checked.value, vehicle) ?? checked;
}

function problemHere(
  name: ParameterName,
  value: unknown,
  vehicle: VehicleLimits,
): CheckedParameter | undefined {
  switch (name) {
    case 'dids':
      return problemOfDids(value as Configuration['dids'], vehicle);
    case 'limits':
      return problemOfLimits(value as Configuration['limits'], vehicle);
    case 'approval':
      return problemOfApproval(value as Configuration['approval'], vehicle);
    default:
      return undefined;
  }
}

function problemOfDids(
  dids: Configuration['dids'],
  { ecus }: VehicleLimits,
): CheckedParameter | undefined {
  for (const did of dids) {
    const known = ecus.knows(did);
    if (known === 'unknown-ecu') {
      return refusal('UNKNOWN_ECU', `dids: this vehicle has no ECU ${did.split('.')[0]} (${did})`);
    }
    if (known === 'unknown-did') {
      return refusal('UNKNOWN_DID', `dids: the ECU has no data identifier ${did}: take it out`);
    }
  }
  return undefined;
}

function problemOfLimits(
  limits: Configuration['limits'],
  { ecus }: VehicleLimits,
): CheckedParameter | undefined {
  for (const [ecu, bounds] of Object.entries(limits)) {
    const actions = own(ecus.catalogue, ecu);
    if (actions === undefined) {
      const known = Object.keys(ecus.catalogue).join(', ') || 'none';
      return refusal('UNKNOWN_ECU', `limits: ${ecu} takes no commands: expected one of ${known}`);
    }
    for (const limited of Object.keys(bounds)) {
      const problem = problemOfLimit(ecu, limited, actions);
      if (problem !== undefined) return refusal('UNKNOWN_ACTION', `limits: ${problem}`);
    }
  }
  return undefined;
}

function problemOfLimit(
  ecu: string,
  limited: string,
  actions: Catalogue[string],
): string | undefined {
  const [action = '', argument = '', ...more] = limited.split('.');
  const described = own(actions, action);
  if (described === undefined || more.length > 0) {
    const known = Object.keys(actions).join(', ');
    return `${ecu} has no action for ${limited}: expected action.argument with one of ${known}`;
  }
  const form = own(described.arguments, argument);
  if (form === undefined) {
    const known = Object.keys(described.arguments).join(', ') || 'none';
    return `${ecu}.${limited}: ${action} has no such argument: it has ${known}`;
  }
  return form.type === 'number'
    ? undefined
    : `${ecu}.${limited} is a choice: only numbers have limits`;
}

function problemOfApproval(
  approval: Configuration['approval'],
  { approval: policy, canAsk }: VehicleLimits,
): CheckedParameter | undefined {
  for (const phase of ['download', 'install', 'activate'] as const) {
    if (approval[phase] === 'none' && policy[phase] === 'ask') {
      const reason = `approval.${phase}: the vehicle file asks the driver, and that cannot be switched off from afar`;
      return refusal('NOT_ALLOWED', reason);
    }
    if (approval[phase] === 'ask' && !canAsk) {
      const reason = `approval.${phase}: this vehicle has no console on which the driver could be asked`;
      return refusal('NOT_ALLOWED', reason);
    }
  }
  return undefined;
}

interface Conflict {
  readonly between: readonly ParameterName[];
  readonly reason: string;
}

/** Parameters that are valid alone but not together. */
function conflictIn({ pollInterval, uploadInterval, dids }: Configuration): Conflict | undefined {
  if (uploadInterval < pollInterval) {
    return {
      between: ['uploadInterval', 'pollInterval'],
      reason:
        `uploadInterval (${uploadInterval} s) is shorter than pollInterval (${pollInterval} s), so uploads would be ` +
        'empty: make it at least as long',
    };
  }
  if (dids.length / pollInterval > MAX_READS_PER_SECOND) {
    const least = Math.ceil(dids.length / MAX_READS_PER_SECOND);
    return {
      between: ['dids', 'pollInterval'],
      reason:
        `${dids.length} DIDs every ${pollInterval} s are more than ${MAX_READS_PER_SECOND} a second, which is what the ` +
        `bus has room for: read fewer, or set pollInterval to at least ${least} s`,
    };
  }
  return undefined;
}

function refusal(code: RejectionCode, reason: string): CheckedParameter {
  return { ok: false, code, reason };
}

function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
