// An example of each field of a vehicle file, in blocks of YAML that can be copied, for docs/vehicle-file.md.

type Examples = ReadonlyMap<string, readonly string[]>;

/**
 * Blocks by section. The first block is a whole file. A block of a section below `ecus[]` has fields of an ECU and is valid in
 * the last ECU of that file; each other block has fields of the file and is valid there (test/vehicle/field-examples.test.ts).
 * Fields that exclude each other stand in several blocks. The fields of a section without blocks stand in those of the section
 * around it.
 */
export const FIELD_EXAMPLES: Examples = new Map([
  [
    '',
    [
      `$schema: ./vehicle.schema.json # can-ota vehicle schema > vehicle.schema.json
vin: 1CANXTABENCH00001
buses:
  main: { bitrate: 500000, dataBitrate: 2000000 }
approval:
  ecu: CGW
  key: "6272656e6368206170707230766c206b" # leave it out where "can-ota provision" makes the key
ecus:
  - name: CGW
    hardwareId: CGW-HW-1
    address: { mode: normal, request: 0x7E0, response: 0x7E8, functional: 0x7DF }
  - name: INV
    hardwareId: INV-HW-1
    address: { mode: normal, request: 0x7E2, response: 0x7EA, functional: 0x7DF }
signals:
  speed: { ecu: CGW, did: 0xFD40, length: 2, scale: 0.01, unit: km/h }
conditions:
  - { name: standing, require: speed == 0, say: Stop the vehicle. }
policy:
  approval: { install: ask }`,
    ],
  ],
  [
    'ecus[]',
    [
      `ecus:
  - name: CGW
    hardwareId: CGW-HW-1
    description: central gateway with the driver's console
    bus: main
    address: { mode: normal, request: 0x7E0, response: 0x7E8, functional: 0x7DF }
    fd: { txDl: 64 }
    timing: { resetMs: 5000 }
    transport: { padding: 0xAA }
    memory: { bankSize: 0x200000 }
    security: { algorithm: hmac-sha256 }
    verification: full
    programming: can-ota
    order: 10
    unavailable: the gateway and all warnings on its console
  - name: DOOR
    hardwareId: 5Q0959593
    profile: vw-like # it has the fields of memory and programming
    address: { mode: normal, request: 0x74A, response: 0x7B4 }
    security: { algorithm: arithmetic, level: 0x11, steps: ["add 0x2719"] }
    order: 20
    dependsOn: [CGW]
    data:
      voltage: { did: 0xF442, length: 2, scale: 0.001, unit: V }
    commands:
      lampTest: { title: switch all lamps on for a second, routine: 0x0317 }`,
    ],
  ],
  [
    'ecus[].address',
    [
      'address: { mode: normal, request: 0x7E2, response: 0x7EA, functional: 0x7DF }',
      `# Two identifiers of 29 bits.
address: { mode: normal, request: 0x18FF0240, response: 0x18FF0340, extended: true }`,
      `# Requests on 18DA40F1, responses on 18DAF140, requests to all ECUs on 18DB33F1.
address: { mode: normal-fixed, ecu: 0x40, tester: 0xF1, functional: 0x33 }`,
      `# The first byte of a request is the ECU, that of a response the tester.
address:
  mode: extended
  request: 0x6F1
  response: 0x640
  functional: 0x6F1
  functionalEcu: 0xDF
  ecu: 0x40
  tester: 0xF1`,
      `# The first byte of both is 40.
address: { mode: mixed, request: 0x750, response: 0x758, extension: 0x40 }`,
    ],
  ],
  ['ecus[].fd', ['fd: { txDl: 64, brs: true }']],
  [
    'ecus[].timing',
    [
      `timing:
  p2Ms: 500
  p2StarMs: 5000
  pendingLimitMs: 300000 # an erase of five minutes
  busyLimitMs: 25000
  waitLimitMs: 25000
  resourceLimitMs: 25000
  securityDelayLimitMs: 25000
  routineLimitMs: 180000
  resetMs: 5000`,
    ],
  ],
  [
    'ecus[].transport',
    [
      `transport:
  blockSize: 8 # or auto
  stMin: 0x00
  sendStMin: 0xF5 # 500 µs
  padding: 0xCC # or null`,
    ],
  ],
  [
    'ecus[].memory',
    [
      `# Two banks, each of 1 MiB.
memory: { address: 0x08010000, bankSize: 0x100000, banks: 2 }`,
      `# One bank: the program and, apart from it, the calibration. Both are erased as a whole.
memory:
  banks: 1
  regions:
    - { address: 0x00010000, size: 0xF0000, eraseUnit: 0x4000 }
    - { address: 0x00200000, size: 0x8000, eraseUnit: 0x1000 }
  erase: regions
  gaps: { bridge: 256, fill: 0xFF }
  writeUnit: 8`,
      `# The same range is erased for every image, which is sent as one piece.
memory:
  banks: 1
  erase: [{ address: 0x00010000, size: 0xF0000 }]
  gaps: { fill: 0xFF }`,
    ],
  ],
  [
    'ecus[].security',
    [
      `security:
  algorithm: hmac-sha256
  level: 0x01
  secret: "c0de0001c0de0001c0de0001c0de0001" # leave it out where "can-ota provision" makes the key`,
      `# 27 03 with two more bytes; the key is half of the MAC.
security:
  algorithm: aes-cmac
  level: 0x03
  dataRecord: "0001"
  secret: "2b7e151628aed2a6abf7158809cf4f3c"
  keyBytes: 8`,
      'security: { algorithm: xor, constant: "5aa5c33c" }',
      `security:
  algorithm: arithmetic
  level: 0x11
  seedBytes: 4
  steps: ["xor 0x5A5A5A5A", "rotl 7", "add 0x1234", swap]`,
      `# can-ota runs: /opt/door/seed-to-key 4F2A91C7
security: { algorithm: command, command: /opt/door/seed-to-key }`,
      'security: { algorithm: module, module: /opt/door/seed-to-key.mjs }',
    ],
  ],
  [
    'ecus[].programming',
    [
      `# An ECU of another make with one bank. All fields are here: leave out those whose default fits.
programming:
  # The order of the steps, with a request of this make.
  sequence:
    - extendedSession
    - preconditions
    - { send: "31 01 0F01 {date}", policy: try }
    - controlDtcSetting
    - communicationControl
    - programmingSession
    - security
    - fingerprint
    - secondBootLoader
    - transfer
    - checkMemory
    - dependencies
  sessionPauseMs: 500
  identify: try
  controlDtcSetting: try
  communicationControl: try
  preconditions: required
  preconditionsRoutine: 0x0203
  preconditionsArguments: "01"
  # 71 01 0203 10 00: the status is the second byte.
  preconditionsStatus: { offset: 1, done: [0], running: [1], finished: [0], askBy: results, everyMs: 250 }
  fingerprint: required
  fingerprintDid: 0xF15A
  fingerprintData: "{date} 00 00 00 00 2A"
  metadata: skip
  # 31 01 FF00 08010000 00040000; 71 01 FF00 01 means that the erase is running.
  erase: required
  eraseRoutine: 0xFF00
  eraseArguments: "{address} {size}"
  eraseStatus: { offset: 0, done: [0], running: [1], finished: [0, 2], askBy: results, everyMs: 250 }
  eraseWhen: before-request-download
  secondBootLoader:
    file: ./second-boot-loader.vbf
    startRoutine: 0x0301
    startArguments: "{call}"
    call: 0x40000000
  # 34 00 44 08010000 00040000
  dataFormat: 0x00
  addressBytes: 4
  sizeBytes: 4
  segments: each
  maxBlockLength: 1026
  # 31 01 0202 with address, size and CRC-32, after each 37.
  checkMemory: required
  checkMemoryRoutine: 0x0202
  checkMemoryArgument: "{address} {size} {crc32}"
  checkMemoryStatus: { offset: 0, done: [0], running: [1], finished: [2], askBy: start, everyMs: 100 }
  checkMemoryWhen: each-range
  dependencies: try
  dependenciesRoutine: 0xFF01
  dependenciesArguments: "{date}"
  dependenciesStatus: { offset: 0, done: [0, 4], running: [2], finished: [0], askBy: results, everyMs: 250 }
  activation: reset
  keepAlive: physical`,
      '# The bootloader of this project; standard is for an ECU of another make.\nprogramming: can-ota',
      `# A board with OpenBLT; "programming: openblt" has the defaults.
programming:
  protocol: openblt
  openblt:
    waitForPowerOnMs: 30000
    # Answers within these times, ms: T1 all others, T3 start, T4 clear, T5 program, T6 CONNECT; T7 is the pause for a busy board.
    timing: { t1Ms: 1000, t3Ms: 2000, t4Ms: 10000, t5Ms: 1000, t6Ms: 50, t7Ms: 2000 }
    padding: 0x00
    readBack: required
    # The boot loader writes its checksum here.
    checksum: { address: 0x08002010, size: 4 }
    bootMs: 1500
    # The application sends 7A0 every 100 ms.
    alive: { id: 0x7A0, extended: false, everyMs: 300 }`,
    ],
  ],
  [
    'ecus[].data.NAME',
    [
      `data:
  power: { did: 0xFD40, offset: 2, length: 2, signed: true, scale: 0.1, unit: kW, notAvailable: -32768 }
  temperature: { did: 0xFD41, add: -40, unit: degC } # 0x41: 25 degC
  charging: { did: 0xFD42, values: { 0: off, 1: slow, 2: fast } }
  partNumber: { did: 0xF187, text: true }`,
    ],
  ],
  [
    'ecus[].commands.NAME',
    [
      `commands:
  setTemperature: # 2E FD31 00 41: 25 degC
    title: set the temperature of the cabin
    write: 0xFD31
    readBack: false # 22 FD31 does not answer what was written
    session: default
    arguments:
      seat: { values: { 0: left, 1: right } }
      temperature: { length: 1, add: -40, unit: degC, min: 16, max: 30 }
  setFan: # 2F FD52 03 32 80: 50 %
    title: take the cooling fan over
    control: 0xFD52
    option: adjust
    mask: "80"
    security: none
    arguments:
      duty: { unit: "%", min: 0, max: 100 }
  releaseFan:
    title: give the cooling fan back
    control: 0xFD52
    option: return
  moveValve: # 31 01 0231 FF6A: -15 degrees; 71 03 0231 01 00000007: it moves, in its seventh run
    title: move the valve
    routine: 0x0231
    arguments:
      angle: { offset: 0, length: 2, signed: true, scale: 0.1, unit: deg, min: -90, max: 90 }
    running: { offset: 0, value: 1 }
    counter: { offset: 1, length: 4 }`,
    ],
  ],
  [
    'signals.NAME',
    [
      `signals:
  speed: { ecu: CGW, did: 0xFD40, offset: 0, length: 2, scale: 0.01, unit: km/h, notAvailable: 0xFFFF }
  gear: { ecu: CGW, did: 0xFD40, offset: 3, values: { 0: park, 1: reverse, 2: neutral, 3: drive } }
  outside: { ecu: CGW, did: 0xFD41, length: 2, signed: true, scale: 0.1, add: -40, unit: degC }`,
    ],
  ],
  [
    'conditions[]',
    [
      `conditions:
  - name: standing
    require: speed == 0
    say: Stop the vehicle.
  - name: at-night
    require: time in 22:00..05:00
    gates: [stage]
    say: It is done at night.`,
    ],
  ],
  [
    'policy',
    [
      `policy:
  approval: { download: none, install: ask, activate: ask }
  retry:
    bus: { tries: 10, seconds: 600 }
    silent: { tries: 3, seconds: 900 }
    busy: { tries: 3, seconds: 900 }
    restart: { tries: 3, seconds: 900 }
    transfer: { tries: 5, seconds: 1800 }
    refused: { tries: 2, seconds: 300 }
    trust: { tries: 1, seconds: 0 }
    activation: { tries: 1, seconds: 0 }
    network: { tries: 100, seconds: 86400 }
  network: { bytesPerDay: 500000000 } # or null
  diagnostics: { heartbeatSeconds: 10, troubleCodes: compare }`,
    ],
  ],
]);

/** The section around a field, entry or section; undefined for the file. */
export function sectionAround(path: string): string | undefined {
  if (path === '') return undefined;
  if (path.endsWith('[]')) return path.slice(0, -2);
  return path.slice(0, Math.max(0, path.lastIndexOf('.')));
}

/** The section whose blocks show a field: the closest one around it that has blocks. */
export function homeOfExample(path: string, examples: Examples = FIELD_EXAMPLES): string {
  const section = sectionAround(path) ?? '';
  return section === '' || examples.has(section) ? section : homeOfExample(section, examples);
}
