// The text of a commented vehicle file, from the ECUs that a scan has found and what they tell about themselves.

import { hexNumber } from '../core/bytes.ts';
import { isEcuName } from '../core/names.ts';
import { Did } from '../uds/sid.ts';
import { type FoundEcu, FUNCTIONAL } from './bus-scan.ts';

/** What a found ECU tells, as text, by data identifier; missing what it does not know. */
export interface DescribedEcu extends FoundEcu {
  readonly texts: ReadonlyMap<number, string>;
}

/** systemNameOrEngineType */
const SYSTEM_NAME = 0xf197;
/** Identifiers that the file uses or shows in a comment. */
export const DESCRIBING_DIDS: readonly number[] = [
  SYSTEM_NAME,
  Did.systemSupplierIdentifier,
  Did.sparePartNumber,
  Did.ecuSoftwareVersion,
  Did.systemSupplierSoftwareVersion,
  Did.ecuHardwareNumber,
  Did.vin,
];

const VIN = /^[A-HJ-NPR-Z0-9]{17}$/;
/** In place of a VIN that no ECU tells. */
const NO_VIN = '00000000000000000';

export interface FoundVehicleOptions {
  /** Given by the person. */
  readonly vin?: string | undefined;
  /** Bit rates of the bus, where they are known. */
  readonly bitrate?: number | undefined;
  readonly dataBitrate?: number | undefined;
}

/** The text is not checked here: it goes through `parseVehicle`. */
export function foundVehicleText(
  ecus: readonly DescribedEcu[],
  { vin, bitrate, dataBitrate }: FoundVehicleOptions,
): string {
  const told = ecus.map(({ texts }) => texts.get(Did.vin) ?? '').find((text) => VIN.test(text));
  const names = namesOf(ecus);
  const used = vin ?? told;
  const vinComment =
    used === undefined
      ? '   # No ECU told it (F190): put yours here.'
      : vin === undefined
        ? '   # As an ECU told it (F190).'
        : '';
  const rates = [
    ...(bitrate === undefined ? [] : [`bitrate: ${bitrate}`]),
    ...(dataBitrate === undefined ? [] : [`dataBitrate: ${dataBitrate}`]),
  ];
  return [
    '# A vehicle file that "can-ota vehicle init" wrote from what answered on the bus. docs/vehicle-file.md explains each field;',
    '# "can-ota vehicle check FILE" checks it, and "can-ota check --vehicle FILE" asks every ECU what it answers.',
    '# A scan cannot tell how an ECU is unlocked, where its memory lies, or what its maker does otherwise: see the lines below.',
    '',
    `vin: "${used ?? NO_VIN}"${vinComment}`,
    '',
    'buses:',
    `  main: { ${rates.length === 0 ? 'bitrate: 500000' : rates.join(', ')} }`,
    '',
    'ecus:',
    ...ecus.flatMap((ecu, index) => ecuLines(ecu, names[index] ?? `ECU_${index}`)),
    '',
  ].join('\n');
}

function ecuLines(ecu: DescribedEcu, name: string): string[] {
  const { texts, fd } = ecu;
  const hardwareId = texts.get(Did.ecuHardwareNumber);
  const hasId = hardwareId !== undefined && hardwareId.length <= 32;
  const systemName = texts.get(SYSTEM_NAME);
  return [
    `  # ${identifierText(ecu)}${toldText(texts)}`,
    `  - name: ${name}`,
    hasId
      ? `    hardwareId: ${JSON.stringify(hardwareId)}   # F191`
      : '    hardwareId: unknown   # It does not tell F191: put the one for which releases are signed here.',
    ...(systemName === undefined
      ? []
      : [`    description: ${JSON.stringify(systemName.slice(0, 80))}   # F197`]),
    ...addressLines(ecu),
    ...(fd ? ['    fd: { txDl: 64 }   # It answered in CAN FD frames.'] : []),
    '    # Another make than this project: one bank, and steps that it does not know are left out. "profile: vw-like" and',
    '    # others (see docs/can0.md) say what a maker does otherwise.',
    '    programming: standard',
    '    # Where an image goes, from the data sheet or the flash file:',
    '    memory: { banks: 1 }   # address: 0x08000000, bankSize: 0x100000, regions: ...',
    '    # How it is unlocked (27): none until you know the algorithm. "can-ota check" shows the length of its seed.',
    '    security: { algorithm: none }',
    '    # timing: { p2Ms: 500, resetMs: 10000 }',
  ];
}

function addressLines({ request, response, functional }: DescribedEcu): string[] {
  const { extended } = request;
  const fixed = fixedEcu(request.id, response.id);
  if (extended && fixed !== undefined) {
    const note = functional ? '' : '   # It did not answer to 18DB33F1.';
    return [`    address: { mode: normal-fixed, ecu: ${hexNumber(fixed, 2)} }${note}`];
  }
  const all = FUNCTIONAL[extended ? 29 : 11].id;
  const fields = [
    'mode: normal',
    `request: ${hexNumber(request.id)}`,
    `response: ${hexNumber(response.id)}`,
    ...(functional ? [`functional: ${hexNumber(all)}`] : []),
    ...(extended ? ['extended: true'] : []),
  ];
  const note = functional ? '' : `   # It did not answer to ${hexNumber(all).slice(2)}.`;
  return [`    address: { ${fields.join(', ')} }${note}`];
}

/** The address byte of 18DA<ecu>F1 with 18DAF1<ecu>. */
function fixedEcu(request: number, response: number): number | undefined {
  const ecu = (request >> 8) & 0xff;
  return response === (0x18daf100 | ecu) ? ecu : undefined;
}

function identifierText({ request, response }: FoundEcu): string {
  const text = (id: number): string => id.toString(16).toUpperCase();
  return `${text(request.id)} -> ${text(response.id)}`;
}

/** Other identification, for a person who has to find out which ECU this is. */
function toldText(texts: ReadonlyMap<number, string>): string {
  const shown = [
    Did.systemSupplierIdentifier,
    Did.sparePartNumber,
    Did.ecuSoftwareVersion,
    Did.systemSupplierSoftwareVersion,
  ] as const;
  const parts = shown.flatMap((did) => {
    const text = texts.get(did);
    return text === undefined ? [] : [`${did.toString(16).toUpperCase()} ${JSON.stringify(text)}`];
  });
  return parts.length === 0 ? '' : `: ${parts.join(', ')}`;
}

/** From F197 where that makes a name of its own, otherwise from the identifiers. */
function namesOf(ecus: readonly DescribedEcu[]): string[] {
  const names: string[] = [];
  for (const { request, response, texts } of ecus) {
    const wish = (texts.get(SYSTEM_NAME) ?? '')
      .toUpperCase()
      .replaceAll(/[^A-Z0-9]+/g, '_')
      .replaceAll(/^_+|_+$/g, '')
      .slice(0, 16);
    const fixed = fixedEcu(request.id, response.id);
    const digits = (fixed ?? request.id).toString(16).toUpperCase();
    const own = `ECU_${digits}`;
    names.push(isEcuName(wish) && !names.includes(wish) ? wish : own);
  }
  return names;
}
