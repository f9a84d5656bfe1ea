// The table of attacks: a node between the TMU and the CGW that asks the driver.

import { expect } from 'vitest';
import { asciiBytes, concatBytes, toHex } from '../../src/core/bytes.ts';
import { attacksOn } from '../support/attack-table.ts';
import { AttackedVehicle, DAY_MS, MAY_MOVE_ON } from '../support/attack-vehicle.ts';
import { FakeTerminal } from '../support/fake-terminal.ts';

const attack = attacksOn('CAN bus');

const hexOf = (bytes: Uint8Array): string => toHex(bytes).toUpperCase();

const RESULT = '71030200';
const APPROVED = 1;

/** A node that answers in place of the CGW. */
function insteadOfCgw(w: AttackedVehicle, answer: (result: Uint8Array) => Uint8Array): void {
  w.ecu('CGW').changes = (bytes) => (hexOf(bytes).startsWith(RESULT) ? answer(bytes) : bytes);
}

attack(
  {
    name: 'forged approval',
    has: 'a node between TMU and CGW',
    does: 'turns the no of the driver into a yes',
    vehicle: 'finds that the answer was not made with the key of the CGW, and erases nothing',
    code: 'FORGED_APPROVAL',
  },
  async () => {
    const w = await AttackedVehicle.start({ approve: 'no' });
    w.release(w.honest, 'EDT', '3.0.0');
    insteadOfCgw(w, (result) =>
      concatBytes(result.subarray(0, 4), Uint8Array.of(APPROVED), result.subarray(5)),
    );
    const code = await w.refusal(MAY_MOVE_ON);
    // Without him the driver is asked again, and says no by himself.
    w.ecu('CGW').changes = undefined;
    await w.advance(DAY_MS);
    expect(await w.refusal({ outcome: 'USER_REJECTED', ...MAY_MOVE_ON })).toBe('DENIED');
    return code;
  },
);

attack(
  {
    name: 'replayed approval',
    has: 'a node between TMU and CGW, and the yes of the driver to an earlier update',
    does: 'answers with it when the driver is asked about the next one',
    vehicle: 'finds another campaign, plan and nonce in it, and erases nothing',
    code: 'FORGED_APPROVAL',
  },
  async () => {
    const w = await AttackedVehicle.start();
    const recorded: Uint8Array[] = [];
    insteadOfCgw(w, (result) => {
      recorded.push(Uint8Array.from(result));
      return result;
    });
    w.release(w.honest, 'EDT', '3.0.0');
    expect((await w.once()).outcome).toBe('SUCCESS');
    w.release(w.honest, 'EDT', '4.0.0');
    insteadOfCgw(w, () => recorded[0]!);
    const code = await w.refusal(MAY_MOVE_ON);
    await w.recovers('EDT', '5.0.0');
    return code;
  },
);

attack(
  {
    name: 'suppressed question',
    has: 'a node between TMU and CGW',
    does: 'lets no question through to the driver',
    vehicle: 'takes silence for no, and erases nothing',
    code: 'APPROVAL_UNREACHABLE',
  },
  async () => {
    const w = await AttackedVehicle.start();
    w.release(w.honest, 'EDT', '3.0.0');
    w.ecu('CGW').loses = (request) => request.startsWith('31') && request.slice(4, 8) === '0200';
    const code = await w.refusal({ outcome: 'PRECONDITION_FAILED', ...MAY_MOVE_ON });
    await w.recovers('EDT', '4.0.0');
    return code;
  },
);

attack(
  {
    name: 'approval replayed after it was taken back',
    has: 'a node between TMU and CGW',
    does: 'hides that the driver has taken his yes back, and repeats it',
    vehicle: 'wants an answer of this moment before it activates',
    code: 'FORGED_APPROVAL',
  },
  async () => {
    const terminal = new FakeTerminal(false);
    const w = await AttackedVehicle.start({ approve: 'ask', terminal });
    w.release(w.honest, 'EDT', '3.0.0');
    let yes: Uint8Array | undefined;
    let takenBack = false;
    insteadOfCgw(w, (result) => {
      if (result[4] === APPROVED) yes = Uint8Array.from(result);
      return takenBack ? yes! : result;
    });
    w.tamper = (request, ecu) => {
      const hex = hexOf(request);
      if (ecu === 'CGW' && hex.startsWith('31030200')) terminal.type('approve\n');
      if (ecu === 'EDT' && hex.startsWith('34') && !takenBack) {
        takenBack = true;
        terminal.type('withdraw\n');
      }
      return undefined;
    };
    const before = w.state();
    const result = await w.once();
    expect([result.outcome, takenBack]).toEqual(['SECURITY_VALIDATION_FAILED', true]);
    // The inactive bank was written by then; nothing of it runs.
    expect(w.state().running).toEqual(before.running);
    expect(w.ecu('EDT').events.map(({ kind }) => kind)).not.toContain('activate');
    return result.code ?? 'none';
  },
);

attack(
  {
    name: 'question changed on its way',
    has: 'a node between TMU and CGW',
    does: 'shows the driver another text about the update than the one that the TMU has sent',
    vehicle:
      'takes his yes for the plan, which both repositories have signed; the text is bound to nothing',
    code: 'none',
    open: 'He can mislead the driver about what is updated, not about whether; what is installed stays the same.',
  },
  async () => {
    const terminal = new FakeTerminal(false);
    const w = await AttackedVehicle.start({ approve: 'ask', terminal });
    w.release(w.honest, 'EDT', '3.0.0', { notes: 'a new map of the brakes' });
    w.tamper = (request, ecu) => {
      const hex = hexOf(request);
      if (ecu === 'CGW' && hex.startsWith('31030200')) terminal.type('approve\n');
      if (!hex.startsWith('31010200')) return undefined;
      const head = 4 + 64;
      const text = Buffer.from(request.subarray(head)).toString().replace('brakes', 'radio');
      return concatBytes(request.subarray(0, head), asciiBytes(text));
    };
    const result = await w.once();
    expect(terminal.text).toContain('a new map of the radio');
    expect([result.outcome, w.running('EDT')]).toEqual(['SUCCESS', '3.0.0']);
    return result.code ?? 'none';
  },
);
