// The text of a commented vehicle file of one ECU with a profile, to be filled in by a person.

import { readProfile } from './profiles.ts';

type Mode = 'normal' | 'normal-fixed' | 'extended' | 'mixed';

/** Example identifiers by address mode; fields that the profile has are left to it. */
const ADDRESSES: Readonly<Record<Mode, readonly (readonly [string, string])[]>> = {
  normal: [
    ['mode', 'normal'],
    ['request', '0x7E0'],
    ['response', '0x7E8'],
    ['functional', '0x7DF'],
  ],
  'normal-fixed': [
    ['mode', 'normal-fixed'],
    ['ecu', '0x10'],
  ],
  extended: [
    ['mode', 'extended'],
    ['request', '0x6F1'],
    ['response', '0x612'],
    ['ecu', '0x12'],
  ],
  mixed: [
    ['mode', 'mixed'],
    ['request', '0x750'],
    ['response', '0x758'],
    ['extension', '0x10'],
  ],
};

/** Throws InputError for a profile that does not exist. The text is not checked here: it goes through `parseVehicle`. */
export function templateVehicleText(profile: string, vin: string): string {
  const fields = readProfile(profile, process.cwd());
  const given = fieldsOf(fieldsOf(fields).address);
  const mode = given.mode;
  const known = typeof mode === 'string' && mode in ADDRESSES ? (mode as Mode) : 'normal';
  const address = ADDRESSES[known]
    .filter(([name]) => !(name in given))
    .map(([name, value]) => `${name}: ${value}`);
  return [
    `# A vehicle file of one ECU with the profile ${profile}, from "can-ota vehicle init". docs/vehicle-file.md explains each`,
    '# field; "can-ota vehicle check FILE" checks it. Every value below is an example: put those of your ECU in its place.',
    '',
    `vin: "${vin}"`,
    '',
    'buses:',
    '  main: { bitrate: 500000, dataBitrate: 2000000 }',
    '',
    'ecus:',
    '  - name: ENGINE',
    '    # What DID F191 answers: an image for other hardware is refused.',
    '    hardwareId: ENGINE-HW-1',
    '    # Fields that ECUs of this make have in common; what stands here wins.',
    `    profile: ${profile}`,
    `    address: { ${address.join(', ')} }`,
    '    # Where images go: addresses of the data sheet, or of the flash file.',
    '    memory: { bankSize: 0x100000 }',
    '    # How it is unlocked (27): hmac-sha256, aes-cmac, xor, arithmetic, command, module.',
    '    security: { algorithm: none }',
    '    # timing: { p2Ms: 500, resetMs: 10000 }',
    '    # fd: { txDl: 64 }',
    '',
  ].join('\n');
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
