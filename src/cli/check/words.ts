// What `can-ota check` prints of one ECU: a table for people, a record for machines.

import { asciiText, toHex } from '../../core/bytes.ts';
import { textTable } from '../../core/text-table.ts';
import type { CheckedDid, EcuCheck, Reached } from '../../drivers/ecu-check.ts';
import { peerText } from '../../drivers/exchange.ts';
import { didText as shownText } from '../../drivers/identification.ts';
import type { AnswerFrames } from '../../onboard/answer-frames.ts';
import { didText } from '../../uds/did-names.ts';
import { Did, Session } from '../../uds/sid.ts';
import { nameIn, valueText } from '../../uds/words.ts';
import type { Vehicle, VehicleEcu } from '../../vehicle/schema.ts';

export interface CheckedEcu {
  readonly name: string;
  readonly ecu: VehicleEcu;
  /** Undefined for an ECU that is named by its identifiers. */
  readonly vehicle: Vehicle | undefined;
  readonly result: EcuCheck;
  readonly frames: AnswerFrames;
  /** Bytes. */
  readonly longestFrame: number;
  /** What was found about it on the way. */
  readonly hint?: string;
}

type ReadDid = Extract<CheckedDid, { data: Uint8Array }>;

const hex4 = (did: number): string => did.toString(16).toUpperCase().padStart(4, '0');

export function checkLines(checked: CheckedEcu): string[] {
  const { ecu, result } = checked;
  const title = checked.vehicle === undefined ? checked.name : peerText(ecu);
  const rows = result.reachable
    ? reachedRows(checked, result)
    : [['reachable', `no (${result.code})`]];
  return ['', title, ...textTable(rows).map((line) => `  ${line}`)];
}

function reachedRows(checked: CheckedEcu, result: Reached): string[][] {
  const { ecu } = checked;
  const read = result.dids.filter((each): each is ReadDid => 'data' in each);
  return [
    ['reachable', `yes, ${result.firstAnswered} is answered`],
    ...read.map(({ did, data, session }) => [
      `${hex4(did)}`,
      `${valueText(data)}  ${didText(did)}${session === 'default' ? '' : ', in the extended session'}`,
    ]),
    ...notRead(result).map(([answer, dids]) => [
      `F18x F19x`,
      `${dids.length} not read: ${answer}${dids.length > 4 ? '' : ` (${dids.map(hex4).join(' ')})`}`,
    ]),
    ...sessionRows(result),
    ['security', securityText(checked, result)],
    ['block length', blockLengthText(ecu, checked.vehicle)],
    ['timing told', timingText(result)],
    ['frames', framesText(checked)],
    ...notes(checked, result).map((note) => ['note', note]),
  ];
}

/** Identifiers by what was answered in their place, the most frequent answer first. */
function notRead({ dids }: Reached): [string, number[]][] {
  const groups = new Map<string, number[]>();
  for (const each of dids) {
    if ('data' in each) continue;
    groups.set(each.answer, [...(groups.get(each.answer) ?? []), each.did]);
  }
  return [...groups].sort((a, b) => b[1].length - a[1].length);
}

function sessionRows({ sessions, activeSession }: Reached): string[][] {
  const active =
    activeSession === undefined ? [] : [['session', `${sessionName(activeSession)} (F186)`]];
  if (sessions.length === 0) {
    return [
      ...active,
      ['sessions', 'not asked: another tester may hold this session, which 10 01 would end'],
    ];
  }
  const asked = sessions.map(({ session, answer }) => [
    `10 ${session === 'default' ? '01' : '03'} ${session}`,
    answer,
  ]);
  return [...active, ...asked, ['10 02 programming', 'not asked: it may restart the ECU']];
}

function sessionName(session: number): string {
  return nameIn(Session, session);
}

function securityText({ ecu }: CheckedEcu, { security }: Reached): string {
  if (security === undefined) return 'not asked';
  const { algorithm } = ecu.security;
  const described = algorithm === 'none' ? 'no security described' : algorithm;
  const level = security.level.toString(16).toUpperCase().padStart(2, '0');
  return `27 ${level} in the ${security.session} session: ${security.answer} (${described})`;
}

function blockLengthText({ programming }: VehicleEcu, vehicle: Vehicle | undefined): string {
  const whose = vehicle === undefined ? 'the tester' : 'the vehicle file';
  return `not asked: 34 would begin a download; ${whose} allows up to ${programming.maxBlockLength} bytes`;
}

function timingText({ sessions }: Reached): string {
  const told = sessions.flatMap(({ session, told: times }) =>
    times === undefined ? [] : [`${session} P2 ${times.p2Ms} ms, P2* ${times.p2StarMs} ms`],
  );
  return told.length === 0 ? 'nothing' : told.join('; ');
}

function framesText({ frames, longestFrame, ecu }: CheckedEcu): string {
  const asked = ecu.fd === false ? 'classic CAN' : `CAN FD of up to ${ecu.fd.txDl} bytes`;
  switch (frames) {
    case 'none':
      return `none seen; it was asked in ${asked}`;
    case 'classic':
      return `classic CAN; it was asked in ${asked}`;
    case 'fd':
      return `CAN FD of up to ${longestFrame} bytes; it was asked in ${asked}`;
    case 'short':
      return `up to ${longestFrame} bytes, which classic CAN and CAN FD have; it was asked in ${asked}`;
  }
}

/** What the ECU tells otherwise than the vehicle file. */
function notes({ ecu, vehicle, frames, hint }: CheckedEcu, { dids }: Reached): string[] {
  const hints = hint === undefined ? [] : [hint];
  if (vehicle === undefined) return hints;
  const textOf = (did: number): string | undefined => {
    const found = dids.find((each): each is ReadDid => each.did === did && 'data' in each);
    return found && shownText(found.data);
  };
  const differs = (did: number, expected: string, field: string): string[] => {
    const told = textOf(did);
    return told === undefined || told === expected
      ? []
      : [`${hex4(did)} tells ${told}, ${field} in the vehicle file is ${expected}`];
  };
  const fd =
    frames === 'fd' && ecu.fd === false
      ? ['it answers in CAN FD, and the vehicle file has no fd for it']
      : [];
  return [
    ...hints,
    ...differs(Did.ecuHardwareNumber, ecu.hardwareId, 'hardwareId'),
    ...differs(Did.vin, vehicle.vin, 'vin'),
    ...fd,
  ];
}

/** One line of `--json`. */
export function checkRecord(checked: CheckedEcu): Record<string, unknown> {
  const { name, ecu, result, frames, longestFrame } = checked;
  if (!result.reachable) {
    const error = { code: result.code, message: result.reason };
    return { kind: 'ecu', ecu: name, reachable: false, error };
  }
  const { dids, sessions, security, activeSession } = result;
  return {
    kind: 'ecu',
    ecu: name,
    reachable: true,
    answered: result.firstAnswered,
    activeSession: activeSession ?? null,
    dids: dids.map((each) =>
      'data' in each
        ? {
            ...{ did: hex4(each.did), name: didText(each.did), session: each.session },
            ...{ bytes: toHex(each.data), text: plainText(each.data) },
          }
        : { did: hex4(each.did), name: didText(each.did), answer: each.answer },
    ),
    sessions,
    security: security === undefined ? null : { ...security, algorithm: ecu.security.algorithm },
    blockLength: { told: null, allowed: ecu.programming.maxBlockLength },
    frames: { answered: frames, longest: longestFrame, asked: ecu.fd === false ? 'classic' : 'fd' },
    notes: notes(checked, result),
  };
}

function plainText(data: Uint8Array): string | null {
  return data.length > 0 && data.every((byte) => byte >= 0x20 && byte < 0x7f)
    ? asciiText(data)
    : null;
}
