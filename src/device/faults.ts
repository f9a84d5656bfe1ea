// Faults that a device makes on purpose.

import { InputError } from '../core/errors.ts';
import { DEVICE_STATES, type DeviceStateName } from './device-state.ts';
import { CHECKS, type CheckName } from './diagnostics.ts';

export interface DeviceFaults {
  /** The new software never starts. */
  readonly refuseBoot?: boolean;
  /** This check of the new software fails. */
  readonly badDiagnostics?: CheckName;
  /** One byte of the bank differs from the written image. */
  readonly badFlash?: boolean;
  /** Power is cut when this state has been stored. */
  readonly powerCut?: DeviceStateName;
}

/** A power cut; code that catches it must not do anything more. */
export class DevicePowerCut extends Error {
  constructor(state: DeviceStateName) {
    super(`the power was cut in state ${state}`);
    this.name = 'PowerCut';
  }
}

const DEVICE_FAULTS =
  `refuse-boot, bad-diagnostics[=${CHECKS.join('|')}], bad-flash, ` +
  `power-cut=${DEVICE_STATES.join('|')}`;

/** Parses the options. Throws InputError with the list of faults. */
export function parseDeviceFaults(texts: readonly string[]): DeviceFaults {
  let faults: DeviceFaults = {};
  for (const text of texts) faults = { ...faults, ...parseFault(text) };
  return faults;
}

function parseFault(text: string): DeviceFaults {
  const [name, value] = text.split('=', 2) as [string, string | undefined];
  if (name === 'refuse-boot' && value === undefined) return { refuseBoot: true };
  if (name === 'bad-flash' && value === undefined) return { badFlash: true };
  if (name === 'bad-diagnostics') {
    const check = CHECKS.find((each) => each === (value ?? 'version'));
    if (check !== undefined) return { badDiagnostics: check };
  }
  if (name === 'power-cut') {
    const state = DEVICE_STATES.find((each) => each === value);
    if (state !== undefined) return { powerCut: state };
  }
  throw new InputError('--fault', `${text} is none of ${DEVICE_FAULTS}`);
}
