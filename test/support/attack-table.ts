// The form of the table of attacks: what the attacker has and does, what the vehicle does, and a test that shows it.

import { expect, it } from 'vitest';
import type { AttackCode } from '../../src/trust/attack.ts';

export type Place = 'repository' | 'network' | 'CAN bus';

/** How an attack ends where nobody names an attack: outcomes of the TMU, refusals of the backend, NRCs. */
type OtherEnd =
  /** Nothing was refused, because there was nothing to refuse. */
  | 'none'
  | `NRC ${string}`
  | `HTTP_${number}`
  | `MANIFEST_${string}`
  | `MESSAGE_${string}`
  | 'ANSWER_FORGED'
  | 'APPROVAL_UNREACHABLE'
  | 'DENIED'
  | 'DIGEST_MISMATCH'
  | 'ECONNREFUSED'
  | 'ECONNRESET'
  | 'FORGED_APPROVAL'
  | 'FOREIGN_ANSWER'
  | 'BACKEND'
  | 'SERVER_NOT_AUTHENTIC'
  | 'SILENT'
  | 'TOO_LONG'
  | 'TOO_SLOW'
  | 'WITHDRAWN'
  | 'DEPENDENCY';

export interface Attack {
  readonly name: string;
  /** What the attacker has: keys, a place in the network, a node on the bus. */
  readonly has: string;
  readonly does: string;
  /** What the vehicle does, and what it does not do. */
  readonly vehicle: string;
  /** How it must end. */
  readonly code: AttackCode | OtherEnd;
  /** The attacker gets what he wants, wholly or in part; the text says what keeps him from more. */
  readonly open?: string;
}

/** A row, with the place that it was written down for. */
export interface Row extends Attack {
  readonly place: Place;
}

/** Carries out the attack, asserts what else must hold, and returns how it ended. */
type Run = () => Promise<string>;
export type AddAttack = (attack: Attack, run: Run) => void;

const rows: Row[] = [];
let collecting = false;

export function attacksOn(place: Place): AddAttack {
  return (attack, run) => {
    rows.push({ ...attack, place });
    if (collecting) return;
    it(`${attack.name}: ${attack.vehicle}`, async () => {
      expect(await run()).toBe(attack.code);
    });
  };
}

/** The rows of the files that `load` imports; none of their tests runs. */
export async function collectAttacks(load: () => Promise<unknown>): Promise<readonly Row[]> {
  collecting = true;
  try {
    await load();
    return [...rows];
  } finally {
    collecting = false;
  }
}
