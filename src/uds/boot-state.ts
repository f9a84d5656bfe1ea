// Codec of the data identifier FD00: the state of an ECU's banks. Both sides use it.

import { byteAt } from '../core/bytes.ts';

/** `empty` erased or never written, `receiving` a download is unfinished, `valid` hash checked. */
export type BankContent = 'empty' | 'receiving' | 'valid';

export interface BootState {
  readonly activeBank: number;
  /** `trial`: runs an image that is not confirmed yet. `recovery`: bootloader only, no bank is bootable. */
  readonly mode: 'confirmed' | 'trial' | 'recovery';
  readonly inactive: BankContent;
  /** The inactive bank will be booted by the next reset. */
  readonly activationPending: boolean;
  /** Boots that are left before the ECU leaves an unconfirmed trial. */
  readonly trialBootsLeft: number;
}

const MODES = ['confirmed', 'trial', 'recovery'] as const;
const CONTENTS = ['empty', 'receiving', 'valid'] as const;

/** 5 bytes: active bank, mode, content of the inactive bank, activation pending, trial boots left. */
export function encodeBootState(state: BootState): Uint8Array {
  return Uint8Array.of(
    state.activeBank,
    MODES.indexOf(state.mode),
    CONTENTS.indexOf(state.inactive),
    state.activationPending ? 1 : 0,
    state.trialBootsLeft,
  );
}

/** Undefined for bytes that are not a boot state. */
export function decodeBootState(bytes: Uint8Array): BootState | undefined {
  if (bytes.length !== 5) return undefined;
  const mode = MODES[byteAt(bytes, 1)];
  const inactive = CONTENTS[byteAt(bytes, 2)];
  if (mode === undefined || inactive === undefined || byteAt(bytes, 3) > 1) return undefined;
  return {
    activeBank: byteAt(bytes, 0),
    mode,
    inactive,
    activationPending: bytes[3] === 1,
    trialBootsLeft: byteAt(bytes, 4),
  };
}
