// scapy as client of our simulated ECUs: every service, positive and negative, decoded into the fields that scapy names.

import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect } from 'vitest';
import {
  folder,
  freshBus,
  type Json,
  Run,
  root,
  scenario,
  start,
} from '../e2e/support/processes.ts';
import { named, scapyPython } from './support/programs.ts';

const CLIENT = path.join(root, 'test/interop/support/scapy_client.py');
const VEHICLE = path.join(root, 'ecus/bench-vehicle.yaml');

interface Request {
  /** In scapy's words, or in bytes. */
  readonly scapy?: string;
  readonly hex?: string;
  readonly functional?: boolean;
  readonly timeout?: number;
}

class Client {
  readonly #run: Run;
  #asked = 0;

  constructor(bus: string, address: object) {
    const args = [CLIENT, bus, JSON.stringify(address)];
    this.#run = new Run(args, { program: [scapyPython ?? 'python3'], keepInput: true });
  }

  /** The answer as scapy decodes it. */
  async ask(request: Request): Promise<Json> {
    await this.#run.line(/^ready$/);
    const at = this.#asked++;
    this.#run.type(`${JSON.stringify(request)}\n`);
    await this.#run.until(() => this.#run.events.length > at, JSON.stringify(request));
    return this.#run.events[at] ?? {};
  }
}

const positive = (layer: string, fields: object = {}, rest?: unknown): object => ({
  ...{ answers: true, layer, fields },
  ...(rest === undefined ? {} : { rest }),
});
const refused = (sid: number, nrc: number): object => ({
  ...{ answers: true, service: 'NegativeResponse', layer: 'UDS_NR' },
  fields: { requestServiceId: sid, negativeResponseCode: nrc },
});
const text = (value: string): string => Buffer.from(value).toString('hex');

/** The requests in their order, in scapy's words where it has any; the answer that scapy must see. */
const LOCKED: readonly (readonly [string, object])[] = [
  ['UDS()/UDS_TP()', positive('UDS_TPPR', { zeroSubFunction: 0 })],
  ['UDS()/UDS_TP(subFunction=1)', refused(0x3e, 0x12)],
  [
    'UDS()/UDS_RDBI(identifiers=[0xF190])',
    positive('UDS_RDBIPR', { dataIdentifier: 0xf190 }, text('1CANXTABENCH00001')),
  ],
  [
    'UDS()/UDS_RDBI(identifiers=[0xF189, 0xF191])',
    positive('UDS_RDBIPR', { dataIdentifier: 0xf189 }, `${text('1.0.0')}f191${text('EDT-HW-1')}`),
  ],
  ['UDS()/UDS_RDBI(identifiers=[0xFFFE])', refused(0x22, 0x31)],
  ['UDS(service=0x22)', refused(0x22, 0x13)],
  ['UDS()/UDS_RDTCI(reportType=1, DTCStatusMask=0xFF)', positive('UDS_RDTCIPR', { reportType: 1 })],
  [
    'UDS()/UDS_RDTCI(reportType=2, DTCStatusMask=0xFF)',
    positive('UDS_RDTCIPR', { reportType: 2, DTCStatusAvailabilityMask: 9 }),
  ],
  ['UDS()/UDS_RDTCI(reportType=0x42, DTCStatusMask=0xFF)', refused(0x19, 0x12)],
  [
    'UDS()/UDS_CDTCI(groupOfDTCHighByte=0xFF, groupOfDTCMiddleByte=0xFF, groupOfDTCLowByte=0xFF)',
    { answers: true, hex: '54' },
  ],
  ['UDS()/UDS_SA(securityAccessType=1)', refused(0x27, 0x7f)],
  ['UDS()/UDS_CDTCS(DTCSettingType=2)', refused(0x85, 0x7f)],
  ['UDS()/UDS_CC(controlType=1, communicationType2=1)', refused(0x28, 0x7f)],
  ['UDS()/UDS_TD(blockSequenceCounter=1)', refused(0x36, 0x7f)],
  ['UDS()/UDS_RTE()', refused(0x37, 0x7f)],
  ['UDS(service=0xBA)', refused(0xba, 0x11)],
  ['UDS()/UDS_DSC(diagnosticSessionType=0x42)', refused(0x10, 0x12)],
  [
    'UDS()/UDS_DSC(diagnosticSessionType=3)',
    positive('UDS_DSCPR', { diagnosticSessionType: 3, sessionParameterRecord: '003201f4' }),
  ],
  ['UDS()/UDS_CDTCS(DTCSettingType=2)', positive('UDS_CDTCSPR', { DTCSettingType: 2 })],
  ['UDS()/UDS_CDTCS(DTCSettingType=1)', positive('UDS_CDTCSPR', { DTCSettingType: 1 })],
  ['UDS()/UDS_CC(controlType=1, communicationType2=1)', positive('UDS_CCPR', { controlType: 1 })],
  ['UDS()/UDS_CC(controlType=0, communicationType2=1)', positive('UDS_CCPR', { controlType: 0 })],
  [
    'UDS()/UDS_RC(routineControlType=1, routineIdentifier=0x0203)',
    positive('UDS_RCPR', { routineControlType: 1, routineIdentifier: 0x0203 }, '00'),
  ],
  ['UDS()/UDS_RC(routineControlType=1, routineIdentifier=0x1234)', refused(0x31, 0x31)],
  ['UDS()/UDS_RC(routineControlType=1, routineIdentifier=0xFF00)', refused(0x31, 0x31)],
  ['UDS()/UDS_WDBI(dataIdentifier=0xF190)/b"X"', { answers: true, layer: 'UDS_NR' }],
  ['UDS()/UDS_IOCBI(dataIdentifier=0xFD31)/b"\\x00"', { answers: true, layer: 'UDS_NR' }],
  [
    'UDS()/UDS_RU(memorySizeLen=4, memoryAddressLen=4, memorySize4=16, memoryAddress4=0x08000000)',
    { answers: true, layer: 'UDS_NR' },
  ],
  // The keys of a bench lock the ECU, and a locked one does not let its memory be read.
  [
    'UDS()/UDS_RMBA(memorySizeLen=1, memoryAddressLen=4, memorySize1=16, memoryAddress4=0x08000000)',
    refused(0x23, 0x33),
  ],
  ['UDS()/UDS_SDT()', { answers: true, layer: 'UDS_NR' }],
  [
    'UDS()/UDS_DSC(diagnosticSessionType=2)',
    positive('UDS_DSCPR', { diagnosticSessionType: 2, sessionParameterRecord: '003201f4' }),
  ],
  [
    'UDS()/UDS_RD(memorySizeLen=4, memoryAddressLen=4, memorySize4=4096, memoryAddress4=0x08000000)',
    refused(0x34, 0x33),
  ],
];

describe.skipIf(scapyPython === undefined)(
  named('scapy as client', scapyPython !== undefined, 'scapy: apt install python3-scapy'),
  () => {
    scenario('understands every service of an ECU with 11 bit identifiers', async () => {
      const bus = freshBus();
      const flash = path.join(await folder(), 'edt');
      const args = ['ecu', 'EDT', '--bus', bus, '--bench-keys', '--flash', flash];
      await start(args, { supervised: true }).ready;
      const address = { tx: 0x7e1, rx: 0x7e9, functional: 0x7df, options: { padding: true } };
      const client = new Client(bus, address);
      for (const [request, wanted] of LOCKED) {
        expect(await client.ask({ scapy: request }), request).toMatchObject(wanted);
      }

      const seed = await client.ask({ scapy: 'UDS()/UDS_SA(securityAccessType=1)' });
      expect(seed).toMatchObject({ layer: 'UDS_SAPR', fields: { securityAccessType: 1 } });
      const { securitySeed } = seed.fields as { securitySeed: string };
      const secret = /name: EDT[\s\S]*?secret: ([0-9a-f]+)/.exec(
        readFileSync(VEHICLE, 'utf8'),
      )![1]!;
      const key = createHmac('sha256', Buffer.from(secret, 'hex'))
        .update(Buffer.from(securitySeed, 'hex'))
        .digest('hex')
        .slice(0, 32);
      const send = (bytes: string): Request => ({
        scapy: `UDS()/UDS_SA(securityAccessType=2, securityKey=bytes.fromhex("${bytes}"))`,
      });
      const wrong = `${key.slice(0, -2)}${key.endsWith('00') ? '01' : '00'}`;
      expect(await client.ask(send(wrong))).toMatchObject(refused(0x27, 0x35));
      const again = await client.ask({ scapy: 'UDS()/UDS_SA(securityAccessType=1)' });
      const nextSeed = (again.fields as { securitySeed: string }).securitySeed;
      const right = createHmac('sha256', Buffer.from(secret, 'hex'))
        .update(Buffer.from(nextSeed, 'hex'))
        .digest('hex')
        .slice(0, 32);
      expect(await client.ask(send(right))).toMatchObject(
        positive('UDS_SAPR', { securityAccessType: 2 }),
      );
      const fingerprint = await client.ask({
        scapy: 'UDS()/UDS_WDBI(dataIdentifier=0xF15A)/bytes.fromhex("26113063616e2d6f7461")',
      });
      expect(fingerprint).toMatchObject(positive('UDS_WDBIPR', { dataIdentifier: 0xf15a }));

      // Metadata is announced, sent in one segmented block and refused: it is not signed.
      const file = '7b'.repeat(600);
      expect(
        await client.ask({
          hex: `3801000d${text('metadata.json')}000202580258`,
        }),
      ).toMatchObject({
        answers: true,
        layer: 'UDS_RFTPR',
      });
      const block = `UDS()/UDS_TD(blockSequenceCounter=1, transferRequestParameterRecord=bytes.fromhex("${file}"))`;
      expect(await client.ask({ scapy: block })).toMatchObject(
        positive('UDS_TDPR', { blockSequenceCounter: 1 }),
      );
      expect(await client.ask({ scapy: 'UDS()/UDS_RTE()' })).toMatchObject({
        ...{ answers: true, layer: 'UDS_NR', pending: 1 },
        fields: { requestServiceId: 0x37 },
      });

      // Functional: answered on the physical identifier, or not at all.
      const all = { functional: true };
      expect(await client.ask({ scapy: 'UDS()/UDS_TP()', ...all })).toMatchObject({ hex: '7e00' });
      for (const silent of ['UDS()/UDS_TP(subFunction=0x80)', 'UDS(service=0xBA)']) {
        expect(await client.ask({ scapy: silent, ...all, timeout: 1 })).toEqual({
          ...{ request: expect.any(String), pending: 0, silent: true },
        });
      }
      // A digest is announced before it is computed.
      expect(await client.ask({ scapy: 'UDS()/UDS_RDBI(identifiers=[0xFD01])' })).toMatchObject({
        ...{ pending: 1, layer: 'UDS_RDBIPR', rest: expect.stringMatching(/^[0-9a-f]{64}$/) },
      });
      expect(await client.ask({ scapy: 'UDS()/UDS_ER(resetType=1)' })).toMatchObject(
        positive('UDS_ERPR', { resetType: 1 }),
      );
    });

    const OTHERS = [
      {
        name: '29 bit identifiers',
        address: '{ mode: normal-fixed, ecu: 0x40, tester: 0xF1, functional: 0x33 }',
        client: { tx: 0x18da40f1, rx: 0x18daf140, functional: 0x18db33f1 },
      },
      {
        name: 'extended addresses',
        address: '{ mode: extended, request: 0x6F1, response: 0x612, ecu: 0x12, tester: 0xF1 }',
        client: { tx: 0x6f1, rx: 0x612, options: { ext_address: 0x12, rx_ext_address: 0xf1 } },
      },
      {
        name: 'frames without padding, block size and separation time of scapy',
        address: '{ mode: normal, request: 0x7E0, response: 0x7E8 }',
        client: { tx: 0x7e0, rx: 0x7e8, options: { bs: 2, stmin: 5 } },
        rest: 'transport: { padding: null }',
      },
    ];
    for (const { name, address, client: asked, rest } of OTHERS) {
      scenario(`understands an ECU with ${name}`, async () => {
        const bus = freshBus();
        const place = await folder();
        const vehicle = path.join(place, 'vehicle.yaml');
        await writeFile(
          vehicle,
          `vin: 1CANXTABENCH00001
buses: { main: {} }
ecus:
  - name: EDT
    hardwareId: OTHER-HARDWARE-1
    address: ${address}
    security: { algorithm: hmac-sha256 }
    ${rest ?? ''}
`,
        );
        const args = ['ecu', 'EDT', '--bench-keys', '--bus', bus, '--flash', path.join(place, 'f')];
        await start([...args, '--vehicle', vehicle], { supervised: true }).ready;
        const client = new Client(bus, asked);
        const long = 'UDS()/UDS_RDBI(identifiers=[0xF190, 0xF191, 0xF190, 0xF191])';
        const vin = text('1CANXTABENCH00001');
        const hardware = text('OTHER-HARDWARE-1');
        expect(await client.ask({ scapy: long })).toMatchObject(
          positive(
            'UDS_RDBIPR',
            { dataIdentifier: 0xf190 },
            `${vin}f191${hardware}f190${vin}f191${hardware}`,
          ),
        );
        expect(await client.ask({ scapy: 'UDS()/UDS_DSC(diagnosticSessionType=2)' })).toMatchObject(
          {
            layer: 'UDS_DSCPR',
          },
        );
        expect(await client.ask({ scapy: 'UDS()/UDS_RDBI(identifiers=[0xFFFE])' })).toMatchObject(
          refused(0x22, 0x31),
        );
      });
    }
  },
);
