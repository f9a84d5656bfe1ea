// The meaning of each field of a vehicle file in a sentence: for editors (JSON schema) and for docs/vehicle-file.md.

import { SECURITY_SUMMARY, SECURITY_TEXTS } from './security/all.ts';

const NUMBER_IN_BYTES = {
  offset: 'First byte of the number in the data.',
  length: 'Bytes of the number, most significant first.',
  signed: 'The number is in two’s complement.',
  scale: 'Factor from the raw number to the value.',
  add: 'Number that is added after scaling.',
  unit: 'Unit of the scaled number.',
  values: 'Names of raw numbers, for data that are states and not quantities.',
  notAvailable: 'Raw number by which the ECU says that it has no value.',
} as const;

const STEP =
  'required: a failure ends the update; try: left out if the ECU does not support it; skip: never sent.';

const TEMPLATE =
  'Hexadecimal digits, with names in braces; {name:2} has 2 bytes, {name:2le} the least significant first.';

function approvalText(phase: string): string {
  return `Whether the driver is asked before ${phase}. ask: the driver decides; none: this file approves.`;
}

function below(prefix: string, texts: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(texts).map(([name, text]) => [`${prefix}.${name}`, text]);
}

/** Texts by path: `[]` is any entry of a list, `NAME` any key of the file. */
export const FIELD_TEXTS: ReadonlyMap<string, string> = new Map<string, string>([
  ['$schema', 'Where editors find the schema; not read.'],
  ['vin', 'Vehicle identification number (ISO 3779): 17 characters without I, O and Q.'],
  [
    'buses',
    'The buses of the vehicle by name. One entry: several are refused until they are supported.',
  ],
  ['buses.NAME', 'One bus.'],
  ['buses.NAME.bitrate', 'Bit rate of the arbitration phase, bit/s.'],
  ['buses.NAME.dataBitrate', 'Bit rate of the data phase of CAN FD, bit/s.'],
  ['approval', 'The ECU that asks the driver. Missing: no driver can be asked.'],
  ['approval.ecu', 'Name of the ECU that asks the driver.'],
  [
    'approval.key',
    'Key that authenticates the answer, 16 to 64 bytes as hexadecimal digits. Missing: the one that provisioning made.',
  ],
  ['ecus', 'The ECUs, at least one.'],
  ['ecus[]', 'One ECU.'],
  ['ecus[].name', 'Name, used on every command line and in every report.'],
  ['ecus[].hardwareId', 'Hardware id as DID F191 answers it. Releases are signed for it.'],
  ['ecus[].description', 'Description of the ECU for people, at most 80 characters.'],
  [
    'ecus[].profile',
    'Fields that ECUs of one make have in common: the name of a profile of this package (plain-uds, openblt, vw-like, psa-like, volvo-like, toyota-sub-address, bmw-extended, can-ota), or a file beside the vehicle file. What the ECU says itself wins.',
  ],
  ['ecus[].bus', 'Name of its bus. Missing: the only one.'],
  [
    'ecus[].address',
    'Identifiers and address bytes that lead to the ECU (ISO 15765-2 10.3). A board with OpenBLT has 0x667 and 0x7E1 where it is missing.',
  ],
  [
    'ecus[].address.mode',
    'normal: two identifiers; normal-fixed: 29 bit, 18DAxxyy; extended: an address byte in each frame; mixed: an address extension in each frame.',
  ],
  ['ecus[].address.request', 'Identifier of requests to the ECU.'],
  ['ecus[].address.response', 'Identifier of its responses.'],
  [
    'ecus[].address.functional',
    'Identifier (normal-fixed: target address) of requests to all ECUs. Missing: such requests go to this ECU alone.',
  ],
  [
    'ecus[].address.functionalEcu',
    'Address byte of functional requests under extended addressing (10.3.4); BMW has 0xDF and 0xEF.',
  ],
  ['ecus[].address.extended', 'The identifiers have 29 bits.'],
  ['ecus[].address.ecu', 'Address byte of the ECU.'],
  ['ecus[].address.tester', 'Address byte of the tester.'],
  ['ecus[].address.extension', 'Address extension byte (N_AE).'],
  ['ecus[].fd', 'false: classic CAN; otherwise CAN FD with these frames.'],
  ['ecus[].fd.txDl', 'Longest frame that is sent to the ECU, bytes.'],
  ['ecus[].fd.brs', 'Frames switch to the bit rate of the data phase.'],
  ['ecus[].timing', 'Times of ISO 14229-2 and longest total waits.'],
  [
    'ecus[].timing.p2Ms',
    'How long the tester waits for an answer (P2client), ms. A longer time that the ECU declares is used instead.',
  ],
  [
    'ecus[].timing.p2StarMs',
    'How long the tester waits after a responsePending (P2*), ms. A longer time that the ECU declares is used instead.',
  ],
  [
    'ecus[].timing.pendingLimitMs',
    'Longest total wait while the ECU says responsePending (NRC 78), ms.',
  ],
  [
    'ecus[].timing.busyLimitMs',
    'Longest total wait while the ECU says busyRepeatRequest (NRC 21), ms.',
  ],
  [
    'ecus[].timing.waitLimitMs',
    'Longest total wait while the ECU delays one message by FC.WAIT, ms.',
  ],
  [
    'ecus[].timing.resourceLimitMs',
    'Longest total wait while the ECU says resourceTemporarilyNotAvailable (NRC 94), ms.',
  ],
  [
    'ecus[].timing.securityDelayLimitMs',
    'Longest total wait while the ECU refuses SecurityAccess because its delay is not over (NRC 37), ms.',
  ],
  [
    'ecus[].timing.routineLimitMs',
    'Longest total wait for a routine whose status says that it is running, ms.',
  ],
  ['ecus[].timing.resetMs', 'Longest time from a reset to the first answer, ms.'],
  ['ecus[].transport', 'ISO-TP parameters of the tester.'],
  [
    'ecus[].transport.blockSize',
    'Block size that the tester asks for as receiver; auto fits the bus, 0 is no limit.',
  ],
  [
    'ecus[].transport.stMin',
    'Separation time that the tester asks for as receiver, as an STmin byte.',
  ],
  [
    'ecus[].transport.sendStMin',
    'Least separation of the tester’s own consecutive frames, as an STmin byte (0x05: 5 ms, 0xF5: 500 µs), for an ECU that loses frames that come faster than it asks for.',
  ],
  [
    'ecus[].transport.padding',
    'Byte that fills short frames up to 8 bytes; null: frames are not filled.',
  ],
  ['ecus[].memory', 'Where images lie in the memory of the ECU, and how it is erased and written.'],
  [
    'ecus[].memory.address',
    'Address of the image, as 34 and 31 FF00 name it. Missing: that of the first region, or 0x08000000.',
  ],
  ['ecus[].memory.bankSize', 'Size of one bank, bytes. A longer image is refused.'],
  [
    'ecus[].memory.regions',
    'Where segments of an image may lie, for an ECU that has more than one range. Missing: bankSize bytes from address on.',
  ],
  ['ecus[].memory.regions[]', 'One range of memory.'],
  ...below('ecus[].memory.regions[]', {
    address: 'Its first address.',
    size: 'Its size, bytes.',
    eraseUnit: 'Size of its sectors, bytes: ranges that are erased are rounded to whole sectors.',
  }),
  [
    'ecus[].memory.erase',
    'What is erased. data: the ranges of the image; regions: all of memory.regions; a list: these ranges.',
  ],
  ['ecus[].memory.erase[]', 'One range that is erased.'],
  ['ecus[].memory.erase[].address', 'Its first address.'],
  ['ecus[].memory.erase[].size', 'Its size, bytes.'],
  [
    'ecus[].memory.gaps',
    'What happens to the bytes between two segments of an image. keep: they are not sent; fill: all gaps are sent, so that the image is one range; bridge: only short gaps are sent.',
  ],
  ['ecus[].memory.gaps.fill', 'Byte that is sent in gaps. Beside bridge it may be missing: 0xFF.'],
  ['ecus[].memory.gaps.bridge', 'Longest gap that is sent, bytes.'],
  [
    'ecus[].memory.writeUnit',
    'Unit in which the flash is written, bytes. Ranges and blocks of 36 are filled with FF up to a multiple of it.',
  ],
  [
    'ecus[].memory.banks',
    '2: the inactive bank is programmed while the other one runs; 1: the ECU has one bank only, which is programmed.',
  ],
  ['ecus[].security', 'How the tester unlocks the ECU by SecurityAccess (27).'],
  ['ecus[].security.algorithm', SECURITY_SUMMARY],
  ['ecus[].security.level', 'Sub-function of requestSeed, an odd number; sendKey is the next one.'],
  [
    'ecus[].security.dataRecord',
    'securityAccessDataRecord that follows requestSeed, as hexadecimal digits.',
  ],
  ...below('ecus[].security', SECURITY_TEXTS),
  ['ecus[].security.steps[]', 'One step of the calculation.'],
  [
    'ecus[].verification',
    'What the ECU verifies by itself (Uptane). partial: the metadata of the Director; full: the metadata of both repositories.',
  ],
  [
    'ecus[].programming',
    'How it is programmed: can-ota (two banks, orders with authority), standard (an ECU of another make), openblt (a board with OpenBLT, by XCP), or single steps.',
  ],
  [
    'ecus[].programming.sessionPauseMs',
    'Pause after the answer to 10 02, for an ECU that restarts into its bootloader, ms.',
  ],
  [
    'ecus[].programming.sequence',
    'The steps in the order in which the ECU wants them. A step that is not in the list is left out. An entry { send: ... } is a request of this make.',
  ],
  ['ecus[].programming.sequence[]', 'Name of a step, or a request.'],
  [
    'ecus[].programming.sequence[].send',
    `The request. ${TEMPLATE} Names: {date} (three BCD bytes), {tester}.`,
  ],
  [
    'ecus[].programming.sequence[].policy',
    'required: a refusal ends the update; try: the update goes on when the ECU does not know the request.',
  ],
  ...below('ecus[].programming', {
    protocol:
      'uds: by the steps below; openblt: by XCP 1.0 on CAN, with one bank; then the fields of UDS are not used.',
    openblt: 'How the boot loader OpenBLT is spoken to.',
    'openblt.waitForPowerOnMs':
      'How long CONNECT is repeated until the boot loader answers, ms. It listens for a short time after a reset or power-on.',
    'openblt.timing': 'Time-outs of the XCP master; the defaults are those of OpenBLT’s host.',
    'openblt.timing.t1Ms': 'For commands that have no other time-out, ms.',
    'openblt.timing.t3Ms': 'For PROGRAM_START, ms.',
    'openblt.timing.t4Ms': 'For PROGRAM_CLEAR, which erases one range, ms.',
    'openblt.timing.t5Ms': 'For PROGRAM, PROGRAM_MAX and PROGRAM_RESET, ms.',
    'openblt.timing.t6Ms': 'For CONNECT: it is sent again after this time, ms.',
    'openblt.timing.t7Ms':
      'Pause before a command is sent again to a board that says that it is busy, ms.',
    'openblt.padding':
      'Byte that fills commands up to 8 bytes; null sends them as short as they are.',
    'openblt.readBack':
      'Comparison of the programmed bytes, read by UPLOAD. required: a board without UPLOAD is refused; try: it is programmed without; skip: nothing is read.',
    'openblt.checksum':
      'Bytes in the range of the image that the boot loader replaces by its checksum; they are not compared.',
    'openblt.checksum.address': 'Address of the first one.',
    'openblt.checksum.size': 'Their number.',
    'openblt.bootMs':
      'Time from a reset until the boot loader has left for the application, ms. A board whose boot loader still answers then has not started it.',
    'openblt.alive':
      'A frame that only the application sends: the proof that it runs. Missing: the boot loader must not answer CONNECT any more.',
    'openblt.alive.id': 'Its identifier.',
    'openblt.alive.extended': 'The identifier has 29 bits.',
    'openblt.alive.everyMs': 'Longest time from one frame to the next, ms.',
    identify: `Reading of its identification (22). ${STEP}`,
    controlDtcSetting: `Trouble codes off (85 02) and on again. ${STEP}`,
    communicationControl: `Normal communication off (28 01) and on again. ${STEP}`,
    preconditions: `Routine that checks the preconditions of programming. ${STEP}`,
    preconditionsRoutine: 'Identifier of the routine that checks the preconditions.',
    preconditionsArguments: `Arguments of the routine that checks the preconditions. ${TEMPLATE} Names: {date}, {tester}.`,
    fingerprint: `Fingerprint of the tester (2E). ${STEP}`,
    fingerprintDid: 'Data identifier of the fingerprint.',
    fingerprintData: `Bytes of the fingerprint. ${TEMPLATE} Names: {date}, {tester}. Missing: {date}{tester}.`,
    metadata: `Signed metadata by 38 before the erase. ${STEP}`,
    erase: `Erase routine. ${STEP}`,
    eraseRoutine: 'Identifier of the erase routine.',
    eraseArguments: `address-length: format identifier, address and length follow the routine identifier; none: nothing follows it; or a template such as "01 {address:1}". ${TEMPLATE} Names: {address}, {size}, {end} (last address).`,
    eraseWhen: 'Whether the erase comes before or after RequestDownload (34).',
    secondBootLoader:
      'A second boot loader that is downloaded into RAM and started before the erase (step secondBootLoader).',
    'secondBootLoader.file':
      'File of the second boot loader (Intel HEX, S-record, ELF, VBF), relative to the vehicle file.',
    'secondBootLoader.startRoutine':
      'Identifier of the routine that starts the second boot loader.',
    'secondBootLoader.startArguments': `Arguments of the routine that starts the second boot loader. ${TEMPLATE} Name: {call}, its start address.`,
    'secondBootLoader.call':
      'Start address of the second boot loader. Missing: the start address in its file.',
    dataFormat: 'dataFormatIdentifier of 34 for an image that is not encrypted.',
    addressBytes:
      'Width of addresses in 34 and 31 FF00, bytes. 1 is usual where blocks have numbers.',
    sizeBytes: 'Width of lengths in 34 and 31 FF00, bytes.',
    checkMemory: `Routine that compares the memory with a digest. ${STEP}`,
    checkMemoryRoutine: 'Identifier of the routine that compares the memory with a digest.',
    checkMemoryArgument: `Argument of the routine that compares the memory. sha256: the digest of the image; crc32: the CRC-32 of the bytes that were sent; none: nothing; or a template such as "01 {address:1} 00 04 {crc32}". ${TEMPLATE} Names: {crc32}, {sha256}, {address}, {size}, {end}.`,
    checkMemoryWhen:
      'once: after the whole image; each-range: after each 37, for the range that it ended.',
    dependencies: `Routine that checks the programming dependencies. ${STEP}`,
    dependenciesRoutine: 'Identifier of the routine that checks the dependencies.',
    dependenciesArguments: `Arguments of the routine that checks the dependencies. ${TEMPLATE} Names: {date}, {tester}.`,
    activation:
      'bank: routines 0210 to 0213 and DID FD00; reset: the reset runs the new image at once.',
    segments:
      'How an image of several segments is transferred. each: one 34, 36 and 37 for each segment; one: it is refused, because the bootloader takes one range.',
    maxBlockLength:
      'Upper limit for the length of a 36 request, bytes. A shorter limit of the ECU is kept.',
    keepAlive:
      'TesterPresent (3E 80) for an ECU that was not asked anything for a while. functional: as physical, and to all ECUs while 28 or 85 hold; physical: to this ECU alone; none: never.',
  }),
  ...['preconditions', 'erase', 'checkMemory', 'dependencies'].flatMap((name) => [
    [
      `ecus[].programming.${name}Status`,
      `What the status byte in the answer of ${name}Routine means.`,
    ] as [string, string],
    ...below(`ecus[].programming.${name}Status`, {
      offset:
        'Place of the status byte after the routine identifier. An answer without it is a success.',
      done: 'Values that say that the routine has done its work.',
      'done[]': 'One value.',
      running: 'Values that say that the routine still runs: the tester asks again.',
      'running[]': 'One value.',
      finished:
        'Further values that say that the routine has done its work, once it has answered with a running value.',
      'finished[]': 'One value.',
      askBy: 'How the tester asks again. results: by 31 03; start: by the same request.',
      everyMs: 'Pause before the tester asks again, ms.',
    }),
  ]),
  [
    'ecus[].order',
    'Rank of its activation: lower ones first, equal ones together. Rollback goes in reverse.',
  ],
  ['ecus[].dependsOn', 'Names of ECUs that are activated before this one.'],
  ['ecus[].dependsOn[]', 'Name of an ECU.'],
  [
    'ecus[].unavailable',
    'What the driver cannot use while the ECU is programmed, for the approval prompt.',
  ],
  [
    'ecus[].data',
    'What its data identifiers hold, by name, for telemetry and results of commands.',
  ],
  ['ecus[].data.NAME', 'One datum.'],
  ['ecus[].data.NAME.did', 'Data identifier.'],
  ...below('ecus[].data.NAME', NUMBER_IN_BYTES),
  ['ecus[].data.NAME.values.NAME', 'Name of one raw number.'],
  ['ecus[].data.NAME.text', 'true: the data are text.'],
  [
    'ecus[].commands',
    'Commands that the backend may give the ECU, by name. Each has one of write, control and routine.',
  ],
  ['ecus[].commands.NAME', 'One command.'],
  ...below('ecus[].commands.NAME', {
    title: 'What the command does, for people.',
    write: 'Data identifier that is written (2E).',
    control: 'Data identifier whose output is taken over (2F).',
    option: 'control: adjust takes the output over, return gives it back.',
    mask: 'control: controlEnableMask, as hexadecimal digits.',
    routine: 'Routine that is started (31 01).',
    arguments: 'Arguments by name, in the order of their bytes after the identifier.',
    'arguments.NAME': 'One argument.',
    'arguments.NAME.offset':
      'First byte of the argument after the identifier. Missing: directly after the argument before it.',
    'arguments.NAME.length': NUMBER_IN_BYTES.length,
    'arguments.NAME.signed': NUMBER_IN_BYTES.signed,
    'arguments.NAME.scale': NUMBER_IN_BYTES.scale,
    'arguments.NAME.add': NUMBER_IN_BYTES.add,
    'arguments.NAME.unit': NUMBER_IN_BYTES.unit,
    'arguments.NAME.min': 'Smallest value that the ECU accepts, after scaling.',
    'arguments.NAME.max': 'Largest value that the ECU accepts, after scaling.',
    'arguments.NAME.values':
      'Names of raw numbers. The backend then gives a name in place of a number.',
    'arguments.NAME.values.NAME': 'Name of one raw number.',
    session:
      'Session in which the command is sent. default: without a change of the session and without SecurityAccess.',
    security:
      'ecu: SecurityAccess as the field security of the ECU says; none: without SecurityAccess.',
    readBack:
      'write and control: whether the data identifier is read after a lost answer, to find out whether the command was done. Missing: true.',
    counter:
      'routine: counter of runs in its results (31 03). After a lost answer it shows whether the routine was started.',
    'counter.offset': 'First byte of the counter in the results.',
    'counter.length': 'Bytes of the counter.',
    running: 'routine: byte of its results (31 03) that says that it still runs.',
    'running.offset': 'Place of this byte in the results.',
    'running.value': 'Its value while the routine runs.',
  }),
  ['signals', 'Signals for conditions, by name.'],
  ['signals.NAME', 'One signal.'],
  ['signals.NAME.ecu', 'ECU that reports it.'],
  ['signals.NAME.did', 'Data identifier.'],
  ...below('signals.NAME', NUMBER_IN_BYTES),
  ['signals.NAME.values.NAME', 'Name of one raw number.'],
  ['conditions', 'What must hold before and during an update.'],
  ['conditions[]', 'One condition.'],
  ['conditions[].name', 'Name of the condition in reports.'],
  ['conditions[].require', 'Expression over signals that must be true.'],
  [
    'conditions[].gates',
    'When it is checked: before images are written (stage), before new software starts (activate).',
  ],
  ['conditions[].gates[]', 'One gate.'],
  ['conditions[].say', 'What the driver can do to meet the condition.'],
  ['policy', 'Rules of this vehicle for updates.'],
  ['policy.approval', 'Phases in which the driver is asked.'],
  ['policy.approval.download', approvalText('images are downloaded')],
  ['policy.approval.install', approvalText('images are written')],
  ['policy.approval.activate', approvalText('new software starts')],
  [
    'policy.retry',
    'Limits for tries by kind of failure. A kind that is missing keeps its built-in limit.',
  ],
  ...Object.entries({
    bus: 'the bus is down',
    silent: 'an ECU does not answer',
    busy: 'an ECU stayed busy until the time limit',
    restart: 'an ECU restarted in the middle',
    transfer: 'a transfer broke off',
    refused: 'an ECU refused',
    trust: 'an ECU refused signed metadata',
    activation: 'new software did not start',
    network: 'the network failed',
  }).flatMap(([kind, when]): [string, string][] => [
    [`policy.retry.${kind}`, `When ${when}.`],
    [`policy.retry.${kind}.tries`, 'Number of tries, the first one included.'],
    [
      `policy.retry.${kind}.seconds`,
      'Time from the first failure after which no further try begins, s.',
    ],
  ]),
  ['policy.network', 'Limits for the use of the network.'],
  [
    'policy.network.bytesPerDay',
    'Bytes of images that may be downloaded in one day (UTC); null: no limit.',
  ],
  ['policy.diagnostics', 'What new software must show before it is confirmed.'],
  [
    'policy.diagnostics.heartbeatSeconds',
    'How long new software must answer without a restart, s; 0: this is not checked.',
  ],
  [
    'policy.diagnostics.troubleCodes',
    'compare: no new trouble codes; ignore: trouble codes are not checked.',
  ],
]);
