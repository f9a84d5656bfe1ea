// The table of attacks: a node that answers in place of others, in the driver's approval and in version reports.

import { expect } from 'vitest';
import { checkVehicleManifest } from '../../server/features/director/check-manifest.ts';
import type { RegisteredDevice } from '../../server/platform/auth/identity.ts';
import { asciiBytes, concatBytes, fromHex, toHex } from '../../src/core/bytes.ts';
import {
  type SignedJson,
  signManifest,
  signVersionReport,
  type VersionReport,
} from '../../src/trust/manifest.ts';
import { signerFromSeed } from '../../src/trust/signing-key.ts';
import {
  ECUS,
  factoryVehicle,
  SERIALS,
  TMU_SERIAL,
  tmuSigner,
  VIN,
} from '../support/attack-factory.ts';
import { type Attack, attacksOn } from '../support/attack-table.ts';
import { AttackedVehicle, DAY_MS, MAY_MOVE_ON } from '../support/attack-vehicle.ts';
import { FakeTerminal } from '../support/fake-terminal.ts';
import { withChange } from '../support/json-change.ts';
import { plainOf } from '../support/secured-message.ts';

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
    vehicle: 'sees that the driver has said yes to another question, and touches nothing',
    code: 'FORGED_APPROVAL',
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
    expect(result.outcome).toBe('SECURITY_VALIDATION_FAILED');
    expect(w.running('EDT')).not.toBe('3.0.0');
    expect(w.ecu('EDT').events.map(({ kind }) => kind)).not.toContain('erase');
    return result.code ?? 'none';
  },
);

attack(
  {
    name: 'version report of another ECU',
    has: 'a node between TMU and EDT, and a right version report of INV',
    does: 'answers with it when EDT is asked for its own',
    vehicle:
      'believes no answer without the MAC of EDT, leaves it out of the manifest, and says so',
    code: 'none',
  },
  async () => {
    const w = await AttackedVehicle.start();
    const asked = await w.clock.within(5000, w.ecu('INV').client.request(fromHex('22FD22')));
    const report = asked.kind === 'positive' ? asked.data : new Uint8Array();
    // In place of whatever EDT answers to it: in the clear, or inside of service 84.
    let isAsked = false;
    w.ecu('EDT').loses = (request) => {
      isAsked = plainOf(request) === '22FD22';
      return false;
    };
    w.ecu('EDT').changes = (bytes) => (isAsked ? report : bytes);
    expect((await w.once()).outcome).toBe('UP_TO_DATE');
    expect(w.backend.manifests.at(-1)!.reports[SERIALS.EDT]).toBeUndefined();
    const warnings = w.events.flatMap((event) => (event.kind === 'warning' ? [event.text] : []));
    await w.recovers();
    expect(w.backend.manifests.at(-1)!.reports[SERIALS.EDT]).toBeDefined();
    expect(warnings.join()).toMatch(
      /it gives no version report: .*expected the answer to securedDataTransmission/,
    );
    return 'none';
  },
);

attack(
  {
    name: 'lie about what an ECU runs',
    has: 'a node between TMU and EDT',
    does: 'answers that EDT runs the new release already',
    vehicle:
      'installs nothing, and hands the Director what EDT itself has signed: it still runs the old one',
    code: 'none',
    open: 'The update stays away as long as he is there; the Director sees it, and nobody can change that.',
  },
  async () => {
    const w = await AttackedVehicle.start();
    const { target } = w.release(w.honest, 'EDT', '3.0.0');
    w.ecu('EDT').changes = (bytes) => {
      const did = hexOf(bytes.subarray(0, 3));
      if (did === '62FD01') return fromHex(`62FD01${target.hashes.sha256!}`);
      return did === '62F195' ? concatBytes(fromHex('62F195'), asciiBytes('3.0.0')) : bytes;
    };
    const code = await w.refusal({ outcome: 'UP_TO_DATE', ...MAY_MOVE_ON });
    await w.once();
    const { installed } = w.backend.manifests.at(-1)!.reports[SERIALS.EDT]!;
    expect(installed.version).toBe('2.0.0');
    await w.recovers('EDT', '4.0.0');
    return code;
  },
);

/** As the registry of the backend has the vehicle. */
async function inventory(): Promise<RegisteredDevice[]> {
  const made = await factoryVehicle();
  const device = (
    serial: string,
    name: string,
    primary: boolean,
    signingKey: string,
  ): RegisteredDevice => ({
    ...{ hwId: serial, serial, status: 'active', createdAt: '', updatedAt: '', vin: VIN, name },
    ...{ hardwareId: `${name}-HW-1`, primary, signingKey, encryptionKey: undefined },
    secretHash: undefined,
  });
  return [
    device(TMU_SERIAL, 'TMU', true, tmuSigner.publicKey.keyval.public),
    ...ECUS.map((name) => device(SERIALS[name], name, false, made[name].signingKey.keyval.public)),
  ];
}

type Reports = Record<string, SignedJson>;

/** What the Director says to a manifest with these reports, after it has heard the one before. */
async function directorHears(
  change: (reports: Reports, before: Reports) => Reports,
  signer = tmuSigner,
): Promise<string> {
  const w = await AttackedVehicle.start();
  const reportsOf = (manifest: SignedJson): Reports =>
    (manifest.signed as { reports: Reports }).reports;
  expect((await w.once()).outcome).toBe('UP_TO_DATE');
  const before = reportsOf(w.backend.checkins.at(-1)!);
  expect((await w.once()).outcome).toBe('UP_TO_DATE');
  const now = reportsOf(w.backend.checkins.at(-1)!);
  const devices = await inventory();
  const facts = {
    vin: VIN,
    primary: devices[0]!,
    inventory: devices,
    inactive: new Set<string>(),
    known: new Map(
      Object.entries(before).map(([serial, { signed }]) => {
        const { counter, installed } = signed as VersionReport;
        const { name: file, length, hashes } = installed;
        const rest = { releaseCounter: 2, attack: '', attackAt: undefined, time: undefined };
        return [
          serial,
          { serial, counter, file, length, sha256: hashes.sha256, receivedAt: '', ...rest },
        ];
      }),
    ),
    timeWasReset: false,
    nowMs: w.clock.wallMs(),
  };
  const sent = (reports: Reports): SignedJson =>
    signManifest({ vin: VIN, primary: TMU_SERIAL, reports }, signer);
  const honest = signManifest({ vin: VIN, primary: TMU_SERIAL, reports: now }, tmuSigner);
  expect(checkVehicleManifest(honest, facts).kind).toBe('accepted');
  const heard = checkVehicleManifest(sent(change({ ...now }, before)), facts);
  if (heard.kind === 'accepted') return 'none';
  // Where the fault is one of Uptane's, its name stands in the detail.
  return /: (UNSIGNED_REPORT|WRONG_ECU|MALFORMED):/.exec(heard.detail)?.[1] ?? heard.code;
}

const thief = signerFromSeed(new Uint8Array(32).fill(99));

const reportAttacks: readonly (readonly [
  attack: Pick<Attack, 'name' | 'has' | 'does' | 'code'>,
  change: (reports: Reports, before: Reports) => Reports,
  signer?: typeof tmuSigner,
])[] = [
  [
    {
      name: 'forged version report',
      has: 'a node between TMU and EDT',
      does: 'reports with a key of his own that EDT runs a new release',
      code: 'UNSIGNED_REPORT',
    },
    (reports) => {
      const { signed } = reports[SERIALS.EDT]!;
      const report = { ...(signed as VersionReport), counter: 1_000_000 };
      return { ...reports, [SERIALS.EDT]: signVersionReport(report, thief) };
    },
  ],
  [
    {
      name: 'changed version report',
      has: 'the TMU, with all its keys',
      does: 'writes into the report of EDT that it runs a new release',
      code: 'UNSIGNED_REPORT',
    },
    (reports) => {
      const changed = withChange(reports[SERIALS.EDT], 'signed/installed/version', '3.0.0');
      return { ...reports, [SERIALS.EDT]: changed as SignedJson };
    },
  ],
  [
    {
      name: 'replayed version report',
      has: 'the TMU, with all its keys, and a report of EDT of an earlier day',
      does: 'sends it again, so that the Director believes in the old state',
      code: 'MANIFEST_REPLAYED',
    },
    (reports, before) => ({ ...reports, [SERIALS.EDT]: before[SERIALS.EDT]! }),
  ],
  [
    {
      name: 'version report of one ECU for another',
      has: 'the TMU, with all its keys',
      does: 'sends the report of INV as that of EDT',
      code: 'UNSIGNED_REPORT',
    },
    (reports) => ({ ...reports, [SERIALS.EDT]: reports[SERIALS.INV]! }),
  ],
  [
    {
      name: 'version report left out',
      has: 'the bus, or the TMU with all its keys',
      does: 'lets the Director hear nothing of EDT',
      code: 'MANIFEST_INCOMPLETE',
    },
    ({ [SERIALS.EDT]: _left, ...reports }) => reports,
  ],
  [
    {
      name: 'forged manifest',
      has: 'right reports of all ECUs, and no key of the TMU',
      does: 'sends them in a manifest that he has signed',
      code: 'UNSIGNED_REPORT',
    },
    (reports) => reports,
    thief,
  ],
];

for (const [row, change, signer] of reportAttacks) {
  attack(
    { ...row, vehicle: 'is marked for attention by its Director, which signs nothing new for it' },
    () => directorHears(change, signer),
  );
}
