// The programming sequence as bytes, and every refusal in its course.

import { describe, expect, it } from 'vitest';
import type {
  DriverFailure,
  DriverResult,
  EcuMetadataSource,
  Target,
} from '../../src/campaign/ports.ts';
import { hexNumber, toHex } from '../../src/core/bytes.ts';
import { BusSilence } from '../../src/drivers/bus-silence.ts';
import { UdsEcuDriver } from '../../src/drivers/ecu-driver.ts';
import type { EcuTrustState } from '../../src/trust/bundle.ts';
import { CAMPAIGN } from '../support/ecu-bench.ts';
import { ascii, ecuOf, imageOf, ScriptedEcu } from './support.ts';

const image = imageOf(Uint8Array.from({ length: 20 }, (_, index) => index));
const SHA = image.sha256.toUpperCase();
const OLD_SHA = '11'.repeat(32);
const UNWATCHED = { knownDtcs: undefined, heartbeatMs: 0 };
const states: EcuTrustState[] = [];
const metadata: EcuMetadataSource = async (state) => {
  states.push(state);
  return { ok: true, value: BUNDLE };
};
const target: Target = { campaign: CAMPAIGN, version: '2.0.0', image, metadata };

/** The driver carries the bundle as it is; what is in it is between the TMU and the ECU. */
const BUNDLE = new TextEncoder().encode('{"time":"signed for the nonce"}');
const METADATA = toHex(BUNDLE).toUpperCase();
const METADATA_LENGTH = hexNumber(BUNDLE.length, 2).slice(2);
const TRUST_STATE = {
  verification: 'partial',
  director: { root: 1, targets: 4 },
  counter: 3,
  time: '2026-01-30T00:00:00.000Z',
};
const NONCE = '00112233445566778899AABBCCDDEEFF';
const REPORT = { signatures: [], signed: { attack: 'ROLLBACK', counter: 9 } };

/** A two-bank ECU that accepts everything; blocks of 10 bytes, so that the image needs three. */
const WILLING = {
  '22F191': `62F191${ascii('EDT-HW-1')}`,
  '22F189': `62F189${ascii('1.0.0')}`,
  '22F18C': `62F18C${ascii('SN1')}`,
  '22F186': '62F18602',
  '22FD00': '62FD000000000000',
  '22FD01': `62FD01${OLD_SHA}`,
  '22FD20': `62FD20${ascii(JSON.stringify(TRUST_STATE))}`,
  '22FD21': `62FD21${NONCE}`,
  '22FD22': `62FD22${ascii(JSON.stringify(REPORT))}`,
  '1001': '500100320 1F4'.replace(' ', ''),
  '1002': '5002003201F4',
  '1003': '5003003201F4',
  '8502': 'C502',
  '280101': '6801',
  '31010203': '7101020300',
  '2701': '6701000102030405060708090A0B0C0D0E0F',
  '2702': '6702',
  '2EF15A': '6EF15A',
  '38': '7801020 0FF00'.replace(' ', ''),
  '3101FF00': '7101FF0000',
  '34': '7420000A',
  '3601': '7601',
  '3602': '7602',
  '3603': '7603',
  '37': '77',
  '31010202': '7101020200',
  '3101FF01': '7101FF0100',
};

function driverOf(ecu: ScriptedEcu, change: Record<string, unknown> = {}): UdsEcuDriver {
  return new UdsEcuDriver({ ecu: ecuOf(change), requester: ecu, clock: ecu.clock });
}

async function stage(
  ecu: ScriptedEcu,
  change: Record<string, unknown> = {},
  signal?: AbortSignal,
): Promise<DriverResult<{ bytes: number; transferMs: number }>> {
  const hooks = signal === undefined ? {} : { signal };
  return ecu.clock.within(600_000, driverOf(ecu, change).stage(target, hooks));
}

function failureOf(result: DriverResult<unknown>): DriverFailure {
  if (result.ok) throw new Error('it succeeded');
  return result;
}

const RESTORED = ['*288001', '*8581', '*1081', '1001'];

describe('staging an ECU of ours', () => {
  it('is this sequence, byte by byte', async () => {
    const ecu = new ScriptedEcu(WILLING);
    expect(await stage(ecu)).toEqual({
      ok: true,
      value: { bytes: 20, transferMs: 0, changed: 'yes', held: false },
      warnings: [],
    });
    expect(ecu.log).toEqual([
      '22F191', // the right hardware?
      '22FD00', // what does it hold?
      '22FD01',
      '190209', // which trouble codes fail already?
      '22FD20', // what does it trust?
      '22FD21', // its nonce for the time, the last word before the network is asked
      '1003', // extended session
      '*1083', // all others too
      '*8582', // trouble codes off
      '*288101', // normal communication off
      '8502',
      '280101',
      '31010203', // preconditions
      '1002', // programming session
      '2701',
      // HMAC-SHA256(00..0F, 00..0F), first 16 bytes, computed with openssl
      '27029F3AA28826B37485CA05014D7142B3EA',
      `2EF15A260131${ascii('can-ota')}`, // fingerprint: 2026-01-31
      `3801000D${ascii('metadata.json')}0001${METADATA_LENGTH}${METADATA_LENGTH}`,
      `3601${METADATA}`,
      '37',
      '22FD03', // the beginning of this image from another time? No.
      '3101FF00440800000000000014', // erase 20 bytes
      '3400440800000000000014', // download 20 bytes
      '36010001020304050607',
      '360208090A0B0C0D0E0F',
      '360310111213',
      '37',
      `31010202${SHA}`,
      '3101FF01',
      ...RESTORED,
    ]);
    expect(ecu.keptAlive).toBe(false);
    expect(states.at(-1)).toEqual({ ...TRUST_STATE, nonce: NONCE.toLowerCase() });
  });

  it('is skipped when the ECU already holds the image, verified', async () => {
    const holding = { ...WILLING, '22FD00': '62FD000000020000', '22FD02': `62FD02${SHA}` };
    const ecu = new ScriptedEcu(holding);
    const { metadata: _metadata, ...bare } = target;
    const done = await ecu.clock.within(1000, driverOf(ecu).stage(bare));
    expect(done).toMatchObject({ ok: true, value: { bytes: 0 } });
    expect(ecu.log).toEqual(['22F191', '22FD00', '22FD01', '22FD02', '190209']);
    // Whether it may stand there under new metadata is for the ECU to say: nothing is erased for the question.
    const again = new ScriptedEcu(holding);
    expect(await again.clock.within(1000, driverOf(again).stage(target))).toMatchObject({
      ok: true,
      value: { bytes: 0, transferMs: 0, changed: 'yes', held: true },
    });
    expect(again.log.slice(again.log.indexOf('37'), -RESTORED.length)).toEqual([
      '37',
      `31010202${SHA}`,
      '3101FF01',
    ]);
  });

  it.each([
    ['the check fails', '7101020201'],
    ['its metadata has no image', '7F3122'],
    ['the check has nothing to check', '7F3124'],
  ])('writes an image that the ECU holds once more where %s', async (_why, answer) => {
    const ecu = new ScriptedEcu({
      ...WILLING,
      '22FD00': '62FD000000020000',
      '22FD02': `62FD02${SHA}`,
    });
    ecu.set('31010202', answer, '7101020200');
    expect(await stage(ecu)).toMatchObject({ ok: true, value: { bytes: 20 } });
    expect(ecu.log.filter((sent) => sent.startsWith('3101FF00'))).toHaveLength(1);
  });

  it('does not take the silence of an ECU for leave to erase what it holds', async () => {
    const ecu = new ScriptedEcu({
      ...WILLING,
      '22FD00': '62FD000000020000',
      '22FD02': `62FD02${SHA}`,
      '31010202': 'silent',
    });
    expect(failureOf(await stage(ecu)).code).toBe('SILENT');
    expect(ecu.log.some((sent) => sent.startsWith('3101FF00'))).toBe(false);
  });

  it('starts anew when the inactive bank holds something else', async () => {
    const ecu = new ScriptedEcu({
      ...WILLING,
      '22FD00': '62FD000000020000',
      '22FD02': `62FD02${OLD_SHA}`,
    });
    expect(await stage(ecu)).toMatchObject({ ok: true, value: { bytes: 20 } });
  });

  it('does not touch an ECU that runs another image on trial', async () => {
    const ecu = new ScriptedEcu({ ...WILLING, '22FD00': '62FD000001020002' });
    ecu.set('22FD02', `62FD02${OLD_SHA}`);
    expect(failureOf(await stage(ecu)).code).toBe('PRECONDITION');
    expect(ecu.log.some((sent) => sent.startsWith('10'))).toBe(false);
  });
});

describe('refused before anything is erased', () => {
  it('an image that is empty or larger than the bank: nothing is sent at all', async () => {
    const ecu = new ScriptedEcu(WILLING);
    const driver = driverOf(ecu);
    const large = imageOf(new Uint8Array(4097));
    const failed = failureOf(
      await driver.stage({ campaign: CAMPAIGN, version: '1', image: large }),
    );
    expect(failed.code).toBe('IMAGE_TOO_LARGE');
    expect(failed.reason).toContain('4097 bytes, its bank holds 4096');
    const empty = imageOf(new Uint8Array());
    expect(
      failureOf(await driver.stage({ campaign: CAMPAIGN, version: '1', image: empty })).code,
    ).toBe('IMAGE_INVALID');
    expect(ecu.log).toEqual([]);
  });

  it('other hardware, unless it was the answer to somebody else', async () => {
    const ecu = new ScriptedEcu(WILLING);
    ecu.set('22F191', `62F191${ascii('???')}`, WILLING['22F191']);
    expect((await stage(ecu)).ok).toBe(true);
  });

  it('other hardware', async () => {
    const ecu = new ScriptedEcu({ ...WILLING, '22F191': `62F191${ascii('EDT-HW-9')}` });
    const failed = failureOf(await stage(ecu));
    expect(failed.code).toBe('WRONG_HARDWARE');
    expect(failed.reason).toContain('"EDT-HW-9"');
    expect(failed.reason).toContain('"EDT-HW-1"');
    expect(ecu.log).toEqual(['22F191', '22F191']);
  });

  it('preconditions that are not met, with the bus restored', async () => {
    const ecu = new ScriptedEcu({ ...WILLING, '31010203': '7101020301' });
    expect(failureOf(await stage(ecu)).code).toBe('PRECONDITION');
    expect(ecu.log.slice(-4)).toEqual(RESTORED);
    expect(ecu.log.some((sent) => sent.startsWith('3101FF00'))).toBe(false);
  });
});

describe('each refusal', () => {
  it.each<[string, string, string, boolean]>([
    ['1003', '7F1022', 'PRECONDITION', false],
    ['8502', '7F8531', 'REFUSED', true],
    ['280101', '7F2831', 'REFUSED', true],
    ['31010203', '7F3122', 'PRECONDITION', true],
    ['1002', '7F1088', 'PRECONDITION', true],
    ['2701', '7F2736', 'SECURITY', true],
    ['2702', '7F2735', 'SECURITY', true],
    ['2EF15A', '7F2E33', 'SECURITY', true],
    ['38', '7F3870', 'REFUSED', true],
    ['3101FF00', '7F3172', 'REFUSED', true],
    ['34', '7F3470', 'REFUSED', true],
    ['3602', '7F3671', 'REFUSED', true],
    ['3602', '7F3672', 'REFUSED', true],
    ['3602', '7F3673', 'REFUSED', true],
    ['31010202', '7F3172', 'REFUSED', true],
    ['31010202', '7101020201', 'DIGEST_MISMATCH', true],
    ['3101FF01', '7101FF0101', 'REFUSED', true],
  ])('of %s with %s is %s, and the bus is restored', async (request, answer, code, wasQuiet) => {
    const ecu = new ScriptedEcu({ ...WILLING, [request]: answer });
    const failed = failureOf(await stage(ecu));
    expect(failed.code).toBe(code);
    expect(failed.reason).toContain('EDT (0x7E1 -> 0x7E9)');
    // Whether it is provisioned is asked afterwards, for the words of the refusal.
    const log = ecu.log.filter((request) => request !== '22FD11');
    expect(log.slice(wasQuiet ? -4 : -1)).toEqual(wasQuiet ? RESTORED : ['1001']);
    expect(ecu.keptAlive).toBe(false);
  });

  it('names a silent ECU, its identifiers and the timer', async () => {
    const ecu = new ScriptedEcu({ '': 'silent' });
    const failed = failureOf(await stage(ecu));
    expect(failed).toMatchObject({ code: 'SILENT', transient: true });
    expect(failed.reason).toContain(
      'EDT (0x7E1 -> 0x7E9): no answer to readDataByIdentifier (0x22) while reading its hardware id within 150 ms (P2)',
    );
  });

  it('tells a bus that is down from an ECU that is silent', async () => {
    const failed = failureOf(await stage(new ScriptedEcu({ '': 'bus' })));
    expect(failed.code).toBe('BUS');
    expect(failed.reason).toContain('vcan0 is down');
  });

  it('of an answer that breaks its format', async () => {
    const ecu = new ScriptedEcu({ ...WILLING, '34': '7400' });
    expect(failureOf(await stage(ecu)).code).toBe('MALFORMED');
    const other = new ScriptedEcu({ ...WILLING, '3602': '7605' });
    expect(failureOf(await stage(other)).reason).toContain('block counter 5, expected 2');
  });
});

describe('one lost message', () => {
  it.each([
    ['1003', 2],
    ['8502', 2],
    ['280101', 2],
    ['31010203', 2],
    ['1002', 2],
    ['2701', 2],
    ['2702', 2], // with the key to another seed
    ['2EF15A', 2],
    ['38', 2],
    ['3101FF00', 2],
    ['34', 2],
    ['31010202', 2],
    ['3101FF01', 2],
  ])('of %s does not end the programming', async (request, times) => {
    for (const lost of ['silent', 'transport', 'unexpected'] as const) {
      const ecu = new ScriptedEcu(WILLING);
      ecu.set(request, lost, WILLING[request as keyof typeof WILLING]);
      expect((await stage(ecu)).ok).toBe(true);
      expect(ecu.log.filter((sent) => sent.startsWith(request))).toHaveLength(times);
    }
  });

  it('of 37 neither: what is out of sequence the second time was carried out the first time', async () => {
    const ecu = new ScriptedEcu(WILLING);
    ecu.set('37', '77', 'silent', '7F3724');
    expect((await stage(ecu)).ok).toBe(true);
    const refused = new ScriptedEcu({ ...WILLING, '37': '7F3724' });
    expect((await stage(refused)).ok).toBe(false);
  });

  it.each([
    ['34', '7F3422'],
    ['34', '7F3424'],
    ['34', '7F3470'],
    ['37', '7F3722'],
    ['3602', '7F3624'],
    ['2EF15A', '7F2E22'],
    ['3101FF00', '7F3124'],
    ['31010202', '7F3124'],
  ])('of %s that is not taken a second time is worth another try: %s', async (request, refusal) => {
    const ecu = new ScriptedEcu(WILLING);
    ecu.set(request, 'silent', refusal);
    expect(failureOf(await stage(ecu))).toMatchObject({ transient: true });
    const refused = new ScriptedEcu({ ...WILLING, [request]: refusal });
    expect(failureOf(await stage(refused))).toMatchObject({ transient: false });
  });

  it('of SecurityAccess: a repeated refusal counts attempts, and is final', async () => {
    const ecu = new ScriptedEcu(WILLING);
    ecu.set('2701', 'silent', '7F2736');
    expect(failureOf(await stage(ecu))).toMatchObject({ transient: false });
  });

  it('of a block whose number was used: it has been taken', async () => {
    const ecu = new ScriptedEcu(WILLING);
    ecu.set('3602', 'silent', '7F3673');
    expect((await stage(ecu)).ok).toBe(true);
    const refused = new ScriptedEcu({ ...WILLING, '3602': '7F3673' });
    expect((await stage(refused)).ok).toBe(false);
  });

  it.each([500, 3000, 9000])('while the ECU jumps into its bootloader for %i ms', async (ms) => {
    const ecu = new ScriptedEcu(WILLING);
    let deafUntilMs = 0;
    ecu.set('1002', () => {
      deafUntilMs = ecu.clock.nowMs() + ms;
      return WILLING['1002'];
    });
    ecu.set('2701', () => (ecu.clock.nowMs() < deafUntilMs ? 'silent' : WILLING['2701']));
    expect((await stage(ecu)).ok).toBe(true);
  });

  it.each([
    [7000, true],
    [9000, true],
    [12_000, false], // timing.resetMs is 10 s
  ])('while it says responsePending to 10 02 and restarts for %i ms: %s', async (ms, works) => {
    const ecu = new ScriptedEcu(WILLING);
    let beganMs: number | undefined;
    ecu.set('1002', () => {
      if (beganMs === undefined) {
        beganMs = ecu.clock.nowMs();
        return 'pending, then silent';
      }
      return ecu.clock.nowMs() - beganMs < ms ? 'silent' : WILLING['1002'];
    });
    expect((await stage(ecu)).ok).toBe(works);
  });

  it('is avoided by a pause after 10 02', async () => {
    const ecu = new ScriptedEcu(WILLING);
    let atMs = 0;
    ecu.set('1002', () => {
      atMs = ecu.clock.nowMs();
      return WILLING['1002'];
    });
    ecu.set('2701', () => {
      atMs = ecu.clock.nowMs() - atMs;
      return WILLING['2701'];
    });
    const programming = { sessionPauseMs: 700 };
    expect((await stage(ecu, { programming })).ok).toBe(true);
    expect(atMs).toBe(700);
  });
});

describe('the transfer', () => {
  const long = imageOf(Uint8Array.from({ length: 700 }, (_, index) => index));
  const ofLong = async (ecu: ScriptedEcu) => {
    const target = { campaign: CAMPAIGN, version: '2.0.0', image: long, metadata };
    const staged = await ecu.clock.within(600_000, driverOf(ecu).stage(target));
    const blocks = ecu.log.filter((sent) => sent.startsWith('36')).slice(1);
    return { staged, blocks };
  };
  const lengthOf = (block: string) => block.length / 2 - 2;

  it('makes its blocks shorter when another tester leaves no pause for long ones', async () => {
    const ecu = new ScriptedEcu({ ...WILLING, '34': '74200200', '36': 'spoiled' });
    let first = true;
    const taken: string[] = [];
    for (let number = 1; number < 20; number++) {
      const counter = hexNumber(number, 2).slice(2);
      ecu.set(`36${counter}`, () => {
        const block = ecu.log.at(-1)!;
        const isMetadata = first;
        first = false;
        if (isMetadata) return `76${counter}`;
        if (lengthOf(block) > 130) return 'spoiled';
        taken.push(block.slice(4));
        return `76${counter}`;
      });
    }
    const { staged, blocks } = await ofLong(ecu);
    expect(staged.ok).toBe(true);
    expect(taken.join('')).toBe(toHex(await long.read(0, 700)).toUpperCase());
    expect(blocks.slice(0, 7).map(lengthOf)).toEqual([510, 510, 510, 128, 128, 128, 126]);
  });

  it('keeps its blocks as they are where one of them may have arrived', async () => {
    const ecu = new ScriptedEcu({ ...WILLING, '34': '74200200' });
    ecu.set('3601', '7601', 'spoiled', 'unexpected', 'spoiled', 'spoiled', '7601');
    const { staged, blocks } = await ofLong(ecu);
    expect(staged.ok).toBe(true);
    expect(blocks.map(lengthOf)).toEqual([510, 510, 510, 510, 510, 190]);
  });

  it('sends a block again that another tester spoils, as long as the ECU is alive', async () => {
    const ecu = new ScriptedEcu(WILLING);
    ecu.set('3602', ...Array<'unexpected'>(12).fill('unexpected'), '7602');
    expect((await stage(ecu)).ok).toBe(true);
    expect(ecu.log.filter((sent) => sent.startsWith('3602'))).toHaveLength(13);
    const gone = new ScriptedEcu({ ...WILLING, '3602': 'unexpected', '22F186': '62F18601' });
    expect(failureOf(await stage(gone)).code).toBe('UNEXPECTED');
    expect(gone.log.filter((sent) => sent.startsWith('3602'))).toHaveLength(3);
    const never = new ScriptedEcu({ ...WILLING, '3602': 'silent' });
    expect(failureOf(await stage(never)).reason).toContain('sent 30 times');
  });

  it.each(['silent', 'transport', 'unexpected'])(
    'repeats a block whose answer is lost (%s)',
    async (lost) => {
      const ecu = new ScriptedEcu(WILLING);
      ecu.set('3602', lost, lost, '7602');
      expect((await stage(ecu)).ok).toBe(true);
      expect(ecu.log.filter((sent) => sent.startsWith('36')).slice(1)).toEqual([
        '36010001020304050607',
        '360208090A0B0C0D0E0F',
        '360208090A0B0C0D0E0F',
        '360208090A0B0C0D0E0F',
        '360310111213',
      ]);
    },
  );

  it('gives up after three times, and says how far it came', async () => {
    const ecu = new ScriptedEcu({ ...WILLING, '3602': 'silent', '22F186': 'silent' });
    const failed = failureOf(await stage(ecu));
    expect(failed).toMatchObject({ code: 'SILENT', transient: true });
    expect(failed.reason).toContain('after 8 of 20 bytes');
    expect(failed.reason).toContain('sent 3 times');
    expect(ecu.log.filter((sent) => sent.startsWith('3602'))).toHaveLength(3);
  });

  it('notices that the ECU has restarted', async () => {
    const ecu = new ScriptedEcu({ ...WILLING, '3602': '7F367F', '22F186': '62F18601' });
    const failed = failureOf(await stage(ecu));
    expect(failed).toMatchObject({ code: 'RESET', transient: true });
    expect(failed.reason).toContain('after 8 of 20 bytes');
  });

  it('counts blocks from 1 over 255 to 0', async () => {
    const bytes = new Uint8Array(300).fill(0xee);
    const long = imageOf(bytes);
    const ecu = new ScriptedEcu({ ...WILLING, '34': '74200003' });
    const counters: string[] = [];
    for (let counter = 0; counter < 256; counter++) {
      const hex = counter.toString(16).toUpperCase().padStart(2, '0');
      ecu.set(`36${hex}EE`, () => {
        counters.push(hex);
        return `76${hex}`;
      });
    }
    const done = driverOf(ecu).stage({ campaign: CAMPAIGN, version: '2.0.0', image: long });
    expect((await ecu.clock.within(1000, done)).ok).toBe(true);
    expect(counters).toHaveLength(300);
    expect(counters.slice(253, 258)).toEqual(['FE', 'FF', '00', '01', '02']);
  });

  it('reads the image as a stream and tells the progress', async () => {
    const bytes = new Uint8Array(300_000).map((_, index) => index * 31);
    let largest = 0;
    const source = imageOf(bytes);
    const counting = {
      ...source,
      read: async (offset: number, length: number) => {
        largest = Math.max(largest, length);
        return source.read(offset, length);
      },
    };
    const received: string[] = [];
    const ecu = new ScriptedEcu({ ...WILLING, '34': '74200FFF' });
    for (let counter = 0; counter < 256; counter++) {
      const hex = counter.toString(16).toUpperCase().padStart(2, '0');
      ecu.set(`36${hex}`, () => {
        received.push(ecu.log.at(-1)!.slice(4));
        return `76${hex}`;
      });
    }
    const progress: number[] = [];
    const done = driverOf(ecu, { memory: { bankSize: 1 << 20 } }).stage(
      { campaign: CAMPAIGN, version: '2.0.0', image: counting },
      { progress: ({ sent }) => progress.push(sent) },
    );
    expect((await ecu.clock.within(1000, done)).ok).toBe(true);
    expect(Buffer.from(received.join(''), 'hex').equals(bytes)).toBe(true);
    expect(largest).toBeLessThanOrEqual(64 * 1024);
    expect(progress[0]).toBe(0);
    expect(progress.at(-1)).toBe(300_000);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
  });

  it('notices an image that is shorter than it says', async () => {
    const ecu = new ScriptedEcu(WILLING);
    const short = {
      ...image,
      read: async (offset: number) => new Uint8Array(offset < 10 ? 10 - offset : 0),
    };
    const failed = await driverOf(ecu).stage({
      campaign: CAMPAIGN,
      version: '2.0.0',
      image: short,
    });
    expect(failureOf(failed).code).toBe('IMAGE_INVALID');
    expect(ecu.log.slice(-4)).toEqual(RESTORED);
  });

  it('is stopped by the signal between two blocks, and the bus is restored', async () => {
    const ecu = new ScriptedEcu(WILLING);
    const abort = new AbortController();
    ecu.set('3602', () => {
      abort.abort();
      return '7602';
    });
    const failed = failureOf(await stage(ecu, {}, abort.signal));
    expect(failed).toMatchObject({ code: 'INTERRUPTED', transient: true });
    expect(ecu.log.some((sent) => sent.startsWith('3603'))).toBe(false);
    expect(ecu.log.slice(-4)).toEqual(RESTORED);
  });
});

describe('signed metadata', () => {
  const erased = (ecu: ScriptedEcu): boolean => ecu.log.some((sent) => sent.startsWith('3101FF00'));

  it('that the ECU refuses is told with the attack of its report, and nothing is erased', async () => {
    const ecu = new ScriptedEcu(WILLING);
    ecu.set('37', '7F3772');
    const failed = failureOf(await stage(ecu));
    expect(failed).toMatchObject({ code: 'UNTRUSTED', attack: 'ROLLBACK', transient: false });
    expect(failed.reason).toContain('does not accept the signed metadata: it detected ROLLBACK');
    expect(erased(ecu)).toBe(false);
    expect(ecu.log.slice(-4)).toEqual(RESTORED);
    const silent = new ScriptedEcu({ ...WILLING, '22FD22': '7F2222', '37': '7F3772' });
    const untold = failureOf(await stage(silent));
    expect(untold).toMatchObject({ code: 'UNTRUSTED' });
    expect(untold).not.toHaveProperty('attack');
    expect(untold.reason).toContain('it does not say why');
  });

  it.each<[string, Record<string, string>, string, string]>([
    ['an ECU that verifies nothing', { '22FD20': '7F2231' }, 'UNTRUSTED', 'can-ota provision'],
    ['a virgin ECU', { '22FD20': '7F2222' }, 'PRECONDITION', 'can-ota provision'],
    ['a state that is no JSON', { '22FD20': '62FD2000FF' }, 'MALFORMED', 'breaks its format'],
    [
      'a state of another form',
      { '22FD20': `62FD20${ascii('{"verification":"none"}')}` },
      'MALFORMED',
      'verification',
    ],
    ['a nonce of another length', { '22FD21': '62FD210011' }, 'MALFORMED', '2 bytes, expected 16'],
  ])('%s is left alone', async (_name, change, code, text) => {
    const ecu = new ScriptedEcu({ ...WILLING, ...change });
    const failed = failureOf(await stage(ecu));
    expect(failed.code).toBe(code);
    expect(failed.reason).toContain(text);
    expect(ecu.log.every((sent) => /^22|^1902/.test(sent))).toBe(true);
  });

  it('that cannot be had leaves the ECU alone', async () => {
    const ecu = new ScriptedEcu(WILLING);
    const failure: DriverFailure = {
      ok: false,
      code: 'UNTRUSTED',
      attack: 'FREEZE',
      reason: 'no time for its nonce',
      transient: false,
      changed: 'no',
    };
    const done = driverOf(ecu).stage({ ...target, metadata: async () => failure });
    expect(await ecu.clock.within(1000, done)).toEqual(failure);
    expect(ecu.log.at(-1)).toBe('22FD21');
  });

  it('that is there already is sent as it is, and no nonce is spent', async () => {
    const ecu = new ScriptedEcu(WILLING);
    const done = driverOf(ecu).stage({ ...target, metadata: BUNDLE });
    expect((await ecu.clock.within(1000, done)).ok).toBe(true);
    expect(ecu.log).toContain(`3601${METADATA}`);
    expect(ecu.log.filter((sent) => sent.startsWith('22FD2'))).toEqual([]);
  });

  it('and an encrypted image: announced by what the ECU holds afterwards', async () => {
    const plain = { length: 12, sha256: 'ab'.repeat(32) };
    const encrypted: Target = {
      ...target,
      plain,
      encryption: {
        file: 'blob',
        length: 20,
        sha256: image.sha256,
        method: 'X25519-HKDF-SHA256-AES-256-GCM',
      },
    };
    const ecu = new ScriptedEcu(WILLING);
    const progress: number[] = [];
    const hooks = { progress: ({ sent }: { sent: number }) => progress.push(sent) };
    const done = driverOf(ecu).stage(encrypted, hooks);
    expect(await ecu.clock.within(1000, done)).toMatchObject({ ok: true, value: { bytes: 20 } });
    expect(ecu.log.slice(ecu.log.indexOf('37') + 1, -4)).toEqual([
      '22FD03',
      '3101FF0044080000000000000C', // 12 bytes are erased
      '340144080000000000000C', // encryptingMethod 1, 12 bytes in the end
      '36010001020304050607',
      '360208090A0B0C0D0E0F',
      '360310111213',
      '37',
      `31010202${'AB'.repeat(32)}`,
      '3101FF01',
    ]);
    expect(progress).toEqual([0, 8, 16, 20]);
    // A block that does not decrypt has the NRC of a broken cell: the report tells them apart.
    const told = { signatures: [], signed: { attack: 'IMAGE_MISMATCH' } };
    const spoilt = new ScriptedEcu({
      ...WILLING,
      '3602': '7F3672',
      '22FD22': `62FD22${ascii(JSON.stringify(told))}`,
    });
    const failed = await spoilt.clock.within(1000, driverOf(spoilt).stage(encrypted));
    expect(failed).toMatchObject({ code: 'UNTRUSTED', attack: 'IMAGE_MISMATCH' });
    const broken = new ScriptedEcu({
      ...WILLING,
      '3602': '7F3672',
      '22FD22': `62FD22${ascii('{"signed":{"attack":""}}')}`,
    });
    const cell = await broken.clock.within(1000, driverOf(broken).stage(encrypted));
    expect(cell).toMatchObject({ ok: false, code: 'REFUSED' });
  });

  it('ends with a report of the ECU, where it has one', async () => {
    const ecu = new ScriptedEcu(WILLING);
    const read = await ecu.clock.within(1000, driverOf(ecu).versionReport());
    expect(read.ok && JSON.parse(new TextDecoder().decode(read.value))).toEqual(REPORT);
    const none = new ScriptedEcu({ ...WILLING, '22FD22': '7F2231' });
    expect(await none.clock.within(1000, driverOf(none).versionReport())).toMatchObject({
      ok: true,
      value: undefined,
    });
    const garbage = new ScriptedEcu({ ...WILLING, '22FD22': '62FD22FFFF' });
    expect(await garbage.clock.within(1000, driverOf(garbage).versionReport())).toMatchObject({
      code: 'MALFORMED',
    });
    const other = driverOf(ecu, { programming: 'standard' });
    ecu.log.length = 0;
    expect(await other.versionReport()).toMatchObject({ ok: true, value: undefined });
    expect(ecu.log).toEqual([]);
  });
});

describe('the self test of the new image', () => {
  const trial = {
    ...WILLING,
    '22F189': `62F189${ascii('2.0.0')}`,
    '22FD00': '62FD000001000003',
    '22FD01': `62FD01${SHA}`,
  };
  /** One with banks that verifies nothing: it takes orders from whoever has opened it. */
  const foreign = { programming: { metadata: 'skip' } };
  const COMMITMENT = 'c0'.repeat(16);

  it('is asked for before any ECU of a campaign is confirmed, and opens nothing', async () => {
    const ecu = new ScriptedEcu({ ...trial, '31030211': '7103021101' });
    const verify = () => ecu.clock.within(1000, driverOf(ecu, foreign).verify(target, UNWATCHED));
    expect(failureOf(await verify()).code).toBe('SELF_TEST');
    expect(ecu.log).not.toContain('31010211');
    expect(ecu.log.filter((sent) => sent.startsWith('27'))).toEqual([]);
    expect(ecu.log.at(-1)).toBe('1001');
    ecu.set('31030211', '7103021100');
    expect(await verify()).toMatchObject({ ok: true });
  });

  it('that an ECU does not tell is found out by confirming', async () => {
    const ecu = new ScriptedEcu({ ...trial, '31030211': '7F3124', '31010211': '7F3122' });
    const driver = driverOf(ecu, foreign);
    expect((await ecu.clock.within(1000, driver.verify(target, UNWATCHED))).ok).toBe(true);
    const failed = failureOf(await ecu.clock.within(1000, driver.confirm(target, [])));
    expect(failed.code).toBe('SELF_TEST');
    expect(ecu.log).toContain('31010211'); // without an option, which it would not know
  });

  it('of one of ours is believed together with what it knows of the campaign', async () => {
    const ecu = new ScriptedEcu({ ...trial, '31030211': '7103021100' });
    const verify = () => ecu.clock.within(1000, driverOf(ecu).verify(target, UNWATCHED));
    for (const record of [
      `62FD2500${'00'.repeat(32)}`,
      `62FD2501${'cb'.repeat(16)}${COMMITMENT}`,
      '7F2231',
    ]) {
      ecu.set('22FD25', record);
      expect(failureOf(await verify()).code).toBe('NOT_STAGED');
    }
    ecu.set('22FD25', '62FD2503');
    expect(failureOf(await verify()).code).toBe('MALFORMED');
    ecu.set('22FD25', `62FD2501${CAMPAIGN}${COMMITMENT}`);
    expect(await verify()).toMatchObject({ ok: true, value: { commitment: COMMITMENT } });
  });

  it.each(['activate', 'confirm', 'commit', 'rollback'] as const)(
    'lets nobody %s one of ours without the key of its TMU: nothing is sent that decides',
    async (what) => {
      const waiting = what === 'activate' ? { '22FD01': `62FD01${OLD_SHA}` } : {};
      const ecu = new ScriptedEcu({ ...trial, '22FD02': `62FD02${SHA}`, ...waiting });
      if (what === 'activate') ecu.set('22FD00', '62FD000000020000');
      const driver = driverOf(ecu);
      const previous = { version: '1.0.0' };
      const orders: Record<typeof what, () => Promise<DriverResult<unknown>>> = {
        activate: () => driver.activate(target),
        confirm: () => driver.confirm(target, [COMMITMENT]),
        commit: () => driver.commit(target, [COMMITMENT]),
        rollback: () => driver.rollback({ target, previous, changed: 'yes' }),
      };
      const failed = failureOf(await ecu.clock.within(60_000, orders[what]()));
      expect(failed).toMatchObject({ code: 'SECURITY', transient: false });
      expect(failed.reason).toContain('identity.json');
      expect(ecu.log.filter((sent) => !sent.startsWith('22'))).toEqual([]);
    },
  );
});

describe('ECUs of others', () => {
  /** One bank, blocks of 10 bytes, no idea of anything beyond the standard. */
  const PLAIN = {
    '1001': '5001',
    '1002': '5002003201F4',
    '1003': '5003003201F4',
    '34': '7420000A',
    '3601': '7601',
    '3602': '7602',
    '3603': '7603',
    '37': '77',
    '1101': '5101',
  };
  const standard = { programming: 'standard', security: { algorithm: 'none' } };

  it('with the profile "standard" are programmed with what they know', async () => {
    const ecu = new ScriptedEcu(PLAIN);
    const driver = driverOf(ecu, standard);
    expect(await driver.stage(target)).toEqual({
      ok: true,
      value: { bytes: 0, transferMs: 0, changed: 'no', held: false },
      warnings: [],
    });
    // Only looked at: there is one bank. What it tells now it must tell afterwards.
    expect(ecu.log).toEqual(['22F191', '22F189', '22F195', '22FD01', '190209']);
    ecu.log.length = 0;
    let deaf = 0;
    ecu.set('1101', () => {
      deaf = 2;
      return '5101';
    });
    ecu.set('22F186', () => (deaf-- > 0 ? 'silent' : '62F18601'));
    const done = await ecu.clock.within(60_000, driver.activate(target));
    expect(done).toMatchObject({ ok: true, value: { bytes: 20 } });
    expect(done.ok && done.warnings).toEqual([
      'EDT: DTC setting off skipped, the ECU answered serviceNotSupported (0x11)',
      'EDT: normal communication off skipped, the ECU answered serviceNotSupported (0x11)',
      'EDT: preconditions skipped, the ECU answered serviceNotSupported (0x11)',
      'EDT: fingerprint skipped, the ECU answered serviceNotSupported (0x11)',
      'EDT: erase skipped, the ECU answered serviceNotSupported (0x11)',
      'EDT: check memory skipped, the ECU answered serviceNotSupported (0x11)',
      'EDT: check dependencies skipped, the ECU answered serviceNotSupported (0x11)',
      'EDT: it answers in its default session again after its reset; nothing that it tells shows which software it runs',
    ]);
    expect(ecu.log.filter((sent) => /^(36|37|11)/.test(sent))).toEqual([
      '36010001020304050607',
      '360208090A0B0C0D0E0F',
      '360310111213',
      '37',
      '1101',
    ]);
    expect(ecu.log.slice(-6)).toEqual(['22F186', '22F186', '22F186', '22F189', '22F195', '22FD01']);
  });

  it.each(['11', '12', '13', '31', '7E', '7F'])(
    '"try" goes on after NRC %s, and after no other',
    async (nrc) => {
      const ecu = new ScriptedEcu({ ...PLAIN, '22F186': '62F18601', '8502': `7F85${nrc}` });
      const done = await ecu.clock.within(60_000, driverOf(ecu, standard).activate(target));
      expect(done.ok).toBe(true);
      const other = new ScriptedEcu({ ...PLAIN, '8502': '7F8522' });
      expect(failureOf(await driverOf(other, standard).activate(target)).code).toBe('PRECONDITION');
    },
  );

  it('that erase after RequestDownload and check a CRC-32', async () => {
    const ecu = new ScriptedEcu({
      ...WILLING,
      '31010202': '7101020200',
    });
    await stage(ecu, {
      programming: {
        eraseWhen: 'after-request-download',
        eraseArguments: 'none',
        checkMemoryArgument: 'crc32',
        checkMemoryRoutine: 0x0202,
        metadata: 'skip',
        preconditions: 'skip',
        fingerprint: 'skip',
        controlDtcSetting: 'skip',
        communicationControl: 'skip',
        dependencies: 'skip',
      },
      security: { algorithm: 'xor', level: 3, constant: 'ff00' },
    });
    expect(ecu.log.slice(4)).toEqual(['1003', '1002', '2703', '1001']);
    ecu.log.length = 0;
    ecu.set('2703', '670311223344');
    ecu.set('2704', '6704');
    await stage(ecu, {
      programming: {
        eraseWhen: 'after-request-download',
        eraseArguments: 'none',
        checkMemoryArgument: 'crc32',
        metadata: 'skip',
        preconditions: 'skip',
        fingerprint: 'skip',
        controlDtcSetting: 'skip',
        communicationControl: 'skip',
        dependencies: 'skip',
      },
      security: { algorithm: 'xor', level: 3, constant: 'ff00' },
    });
    expect(ecu.log.slice(4)).toEqual([
      '1003',
      '1002',
      '2703',
      '2704EE22CC44',
      '3400440800000000000014',
      '3101FF00',
      '36010001020304050607',
      '360208090A0B0C0D0E0F',
      '360310111213',
      '37',
      '310102023BDDFFA4',
      '1001',
    ]);
  });

  it('whose key comes from a program', async () => {
    const ecu = new ScriptedEcu({ ...WILLING, '2702': '6702' });
    const asked: string[] = [];
    const driver = new UdsEcuDriver({
      ecu: ecuOf({ security: { algorithm: 'command', command: './key' } }),
      requester: ecu,
      clock: ecu.clock,
      runCommand: async (command, seed) => {
        asked.push(`${command.file} ${seed}`);
        return 'AABB\n';
      },
    });
    expect((await ecu.clock.within(1000, driver.stage(target))).ok).toBe(true);
    expect(asked).toEqual(['./key 000102030405060708090a0b0c0d0e0f']);
    expect(ecu.log).toContain('2702AABB');
    const without = driverOf(new ScriptedEcu(WILLING), {
      security: { algorithm: 'command', command: './key' },
    });
    expect(failureOf(await without.stage(target)).reason).toContain('may not run programs');
  });
});

it('the bus stays quiet until the last of two ECUs is done', async () => {
  const silence = new BusSilence();
  const log: string[] = [];
  const broadcast = async (request: Uint8Array): Promise<void> => {
    log.push(Buffer.from(request).toString('hex'));
  };
  const wanted = { controlDtcSetting: 'required', communicationControl: 'try' } as const;
  await silence.acquire(broadcast, wanted);
  await silence.acquire(broadcast, wanted);
  await silence.release(broadcast);
  expect(log).toEqual(['1083', '8582', '288101']);
  await silence.release(broadcast);
  expect(log.slice(3)).toEqual(['288001', '8581', '1081']);
  await silence.release(broadcast);
  expect(log).toHaveLength(6);
});
