// One row for each mistake of a tester: what it does before, the wrong request, the NRC that the standard names.

import { describe, expect, it } from 'vitest';
import { builtInFactoryImage } from '../../ecus/bootloader/factory/factory-image.ts';
import { concatBytes, toHex } from '../../src/core/bytes.ts';
import {
  BANK_ADDRESS,
  BANK_SIZE,
  CAMPAIGN,
  checkRequest,
  digestOf,
  downloadRequest,
  EcuBench,
  fileRequest,
  imageOf,
  releaseOf,
} from '../support/ecu-bench.ts';

type Row = readonly [
  mistake: string,
  before: (bench: EcuBench) => Promise<unknown>,
  request: string | Uint8Array,
  answer: string,
];

const image = imageOf(1000);
const nothing = async (): Promise<void> => {};
const extended = (bench: EcuBench) => bench.expect('1003');
const programming = (bench: EcuBench) => bench.expect('1002');
const unlocked = (bench: EcuBench) => bench.prepare();
const announced = async (bench: EcuBench) => {
  await bench.prepare();
  await bench.sendMetadata(releaseOf(image, '2.0.0'));
};
const erased = async (bench: EcuBench) => {
  await announced(bench);
  await bench.expect('3101FF00');
};
const downloading = async (bench: EcuBench) => {
  await erased(bench);
  await bench.expect(downloadRequest(image.length));
};
const received = async (bench: EcuBench) => {
  await downloading(bench);
  await bench.sendBlocks(image, 500);
};
const transferred = async (bench: EcuBench) => {
  await received(bench);
  await bench.expect('37');
};
const staged = (bench: EcuBench) => bench.program(image, '2.0.0');
const onTrial = async (bench: EcuBench) => {
  await staged(bench);
  await bench.expectOrder('activate');
  await bench.reset();
  await bench.prepare();
};

/** Routine 0210 with all that it needs. */
function activationOf(sha256: Uint8Array): string {
  return `31010210${CAMPAIGN}${toHex(sha256)}`;
}
const activation = activationOf(digestOf(image));
const factoryDigest = digestOf(builtInFactoryImage('EDT').image);

const encryptedDownload = downloadRequest(1000, BANK_ADDRESS, 0x01);
const block = (counter: number, length: number): Uint8Array =>
  concatBytes(Uint8Array.of(0x36, counter), imageOf(length));

const rows: readonly Row[] = [
  ['unknown service', nothing, 'BA01', '7FBA11'],
  ['unknown session', nothing, '1044', '7F1012'],
  ['session without its sub-function', nothing, '10', '7F1013'],
  ['unknown reset type', nothing, '1109', '7F1112'],
  ['reset with a surplus byte', nothing, '110100', '7F1113'],
  ['unknown identifier', nothing, '22ABCD', '7F2231'],
  ['half an identifier', nothing, '22F1', '7F2213'],
  ['seventeen identifiers at once', nothing, `22${'F186'.repeat(17)}`, '7F2213'],
  ['trouble codes by an unknown report', nothing, '19FE', '7F1912'],
  ['trouble codes without a mask', nothing, '1902', '7F1913'],
  ['clearing an unknown code', nothing, '14123456', '7F1431'],
  ['security access in the default session', nothing, '2701', '7F277F'],
  ['key before seed', extended, `2702${'00'.repeat(16)}`, '7F2724'],
  ['unknown security level', extended, '2711', '7F2712'],
  ['communication control in the default session', nothing, '280301', '7F287F'],
  ['write in the default session', nothing, '2EF15A01', '7F2E7F'],
  ['write while locked', programming, '2EF15A01', '7F2E33'],
  ['write a serial number after the lock', unlocked, '2EF18C41', '7F2E33'],
  ['write a secret after the lock', unlocked, `2EFD13${'00'.repeat(32)}`, '7F2E33'],
  ['read the device secret after the lock', unlocked, '22FD13', '7F2233'],
  ['read a secret among others', unlocked, '22F195FD14', '7F2233'],
  ['read the approval key after the lock', extended, '22FD15', '7F2233'],
  ['read memory in the default session', nothing, '2344080000000000000010', '7F237F'],
  ['read memory after the lock', unlocked, '23440800000000000010', '7F2333'],
  ['read memory where there is none', unlocked, '23440700000000000010', '7F2331'],
  ['read memory without an address', unlocked, '234408', '7F2313'],
  ['upload after the lock', unlocked, '35004408000000000003E8', '7F3533'],
  ['new keys after the lock', unlocked, '31010220', '7F3133'],
  ['write to a read-only identifier', unlocked, '2EF19141', '7F2E31'],
  ['write a fingerprint that is too long', unlocked, `2EF15A${'00'.repeat(33)}`, '7F2E13'],
  ['write a VIN after the lock', unlocked, `2EF190${'41'.repeat(17)}`, '7F2E33'],
  ['write a VIN that is too short after the lock', unlocked, '2EF19041', '7F2E33'],
  ['routine without an identifier', nothing, '3101FF', '7F3113'],
  ['unknown routine control type', unlocked, '3104FF00', '7F3112'],
  ['unknown routine', unlocked, '31014711', '7F3131'],
  ['routine of another ECU', unlocked, '31010200', '7F3131'],
  ['preconditions in the default session', nothing, '31010203', '7F3131'],
  ['preconditions with an argument', extended, '3101020300', '7F3113'],
  ['erase outside the programming session', extended, '3101FF00', '7F3131'],
  ['erase while locked', programming, '3101FF00', '7F3133'],
  ['erase another address', unlocked, '3101FF00440900000000000100', '7F3131'],
  ['erase more than the bank', unlocked, '3101FF00440800000000010001', '7F3131'],
  ['erase with half an address', unlocked, '3101FF00440800', '7F3113'],
  ['stop an erase', unlocked, '3102FF00', '7F3112'],
  ['results of an erase that never was', unlocked, '3103FF00', '7F3124'],
  ['erase the way back of a trial', onTrial, '3101FF00', '7F3122'],
  ['download in the default session', nothing, downloadRequest(1000), '7F347F'],
  ['download in the extended session', extended, downloadRequest(1000), '7F347F'],
  ['download while locked', programming, downloadRequest(1000), '7F3433'],
  ['erase without metadata', unlocked, '3101FF00', '7F3122'],
  ['download without metadata', unlocked, downloadRequest(1000), '7F3422'],
  ['download without erase', announced, downloadRequest(1000), '7F3422'],
  [
    'download without erase after a session in which it was erased',
    async (bench) => {
      await erased(bench);
      await announced(bench);
    },
    downloadRequest(1000),
    '7F3422',
  ],
  ['download over a valid image without erase', staged, downloadRequest(1000), '7F3422'],
  ['download of nothing', erased, downloadRequest(0), '7F3431'],
  ['download of less than was signed', erased, downloadRequest(999), '7F3431'],
  ['download in an encryption that was not signed', erased, encryptedDownload, '7F3431'],
  ['download beyond the bank', erased, downloadRequest(BANK_SIZE + 1), '7F3431'],
  ['download to another address', erased, downloadRequest(1000, 0x0800_0001), '7F3431'],
  ['download to an address far off', erased, downloadRequest(1000, 0), '7F3431'],
  ['download of compressed data', erased, '34104408000000000003E8', '7F3431'],
  ['download with a broken address format', erased, '34000008000000', '7F3431'],
  ['download with a short address', erased, '3400440800', '7F3413'],
  ['download during a download', downloading, downloadRequest(1000), '7F3422'],
  ['block before any download', erased, block(1, 10), '7F3624'],
  ['block while locked', programming, block(1, 10), '7F3633'],
  ['block without a counter', downloading, '36', '7F3613'],
  ['block without data', downloading, '3601', '7F3613'],
  ['first block with counter 0', downloading, block(0, 10), '7F3673'],
  ['first block with counter 2', downloading, block(2, 10), '7F3673'],
  ['block longer than was agreed', downloading, block(1, 4094), '7F3631'],
  ['more data than was announced', downloading, block(1, 1001), '7F3671'],
  ['block after the last one', received, block(3, 10), '7F3624'],
  ['exit before any download', unlocked, '37', '7F3724'],
  ['exit before the last block', downloading, '37', '7F3724'],
  ['exit with a parameter', received, '3700', '7F3731'],
  ['exit twice', transferred, '37', '7F3724'],
  ['check before the transfer', erased, checkRequest(image), '7F3124'],
  ['check before the exit', received, checkRequest(image), '7F3124'],
  ['check with half a hash', transferred, '31010202AABB', '7F3113'],
  ['file transfer while locked', programming, fileRequest('metadata.json', 100), '7F3833'],
  ['file of another name', unlocked, fileRequest('../boot-record', 100), '7F3831'],
  ['file that no ECU takes any more', unlocked, fileRequest('release.json', 100), '7F3831'],
  ['first Root after the lock', unlocked, fileRequest('director.root.json', 100), '7F3833'],
  ['file of more than 256 KiB', unlocked, fileRequest('metadata.json', 256 * 1024 + 1), '7F3831'],
  ['file of no bytes', unlocked, fileRequest('metadata.json', 0), '7F3831'],
  ['file to be read', unlocked, `380400${'0D'}${toHex(Buffer.from('metadata.json'))}00`, '7F3831'],
  ['file that is compressed', unlocked, fileTail('11', '00640064'), '7F3831'],
  ['file with a short name field', unlocked, '3801000541', '7F3813'],
  ['file during a download', downloading, fileRequest('metadata.json', 100), '7F3822'],
  ['activation in the default session', nothing, '31010210', '7F3131'],
  ['activation while locked', extended, '31010210', '7F3138'],
  ['activation by an open level alone', staged, activation, '7F3138'],
  ['activation that cannot be stopped', staged, '31020210', '7F3138'],
  ['confirmation in the default session', nothing, '31010211', '7F3131'],
  ['confirmation while locked', extended, '31010211', '7F3138'],
  ['confirmation by an open level alone', onTrial, evidence('11'), '7F3138'],
  ['commit in the default session', nothing, '31010213', '7F3131'],
  ['commit while locked', extended, '31010213', '7F3138'],
  ['commit by an open level alone', onTrial, evidence('13'), '7F3138'],
  ['rollback in the default session', nothing, '31010212', '7F3131'],
  ['rollback while locked', extended, '31010212', '7F3138'],
  ['rollback by an open level alone', onTrial, `31010212${CAMPAIGN}00`, '7F3138'],
  ['word of a received report without authority', unlocked, `2EFD23${'00'.repeat(8)}`, '7F2E38'],
  ['key of another TMU after the lock', unlocked, `2EFD16${'40'.repeat(32)}`, '7F2E33'],
  ['key of another factory after the lock', unlocked, `2EFD17${'40'.repeat(32)}`, '7F2E33'],
  ['response as request', nothing, '5003', 'silent'],
];

/** Right in all but the authority of the message. */
function evidence(routine: string): string {
  return `310102${routine}${CAMPAIGN}${'00'.repeat(16)}`;
}

function fileTail(format: string, sizes: string): string {
  return `3801000D${toHex(Buffer.from('metadata.json'))}${format}02${sizes}`;
}

type OrderRow = readonly [
  mistake: string,
  before: (bench: EcuBench) => Promise<unknown>,
  inner: string,
  answer: string,
];

const confirmedImage = async (bench: EcuBench) => {
  await onTrial(bench);
  await bench.expectOrder('confirm');
};
const orders: readonly OrderRow[] = [
  ['activation without an option', staged, '31010210', '7F3113'],
  ['activation without a digest', staged, `31010210${CAMPAIGN}`, '7F3113'],
  ['activation with a surplus byte', staged, `${activation}00`, '7F3113'],
  ['activation of an image that is not there', nothing, activation, '7F3122'],
  ['activation before the check', transferred, activation, '7F3122'],
  ['activation of the way back of a trial', onTrial, activationOf(factoryDigest), '7F3122'],
  ['activation that cannot be stopped', staged, '31020210', '7F3112'],
  ['confirmation without an option', onTrial, '31010211', '7F3113'],
  ['confirmation without commitments', onTrial, `31010211${CAMPAIGN}`, '7F3113'],
  ['confirmation with half a commitment', onTrial, `${evidence('11')}00`, '7F3113'],
  ['confirmation without its own commitment', onTrial, evidence('11'), '7F3131'],
  ['confirmation where no campaign was', nothing, evidence('11'), '7F3131'],
  ['results of a confirmation with an argument', onTrial, '3103021100', '7F3113'],
  ['commit without an option', confirmedImage, '31010213', '7F3113'],
  ['commit with half a receipt', confirmedImage, `${evidence('13')}00`, '7F3113'],
  ['commit with a receipt of nobody', confirmedImage, evidence('13'), '7F3131'],
  ['commit during the trial', onTrial, evidence('13'), '7F3122'],
  ['commit where no campaign was', nothing, evidence('13'), '7F3122'],
  ['rollback without an option', onTrial, '31010212', '7F3113'],
  ['rollback with an unknown option', onTrial, `31010212${CAMPAIGN}02`, '7F3113'],
  ['word of a report that never was', nothing, `2EFD23${'00'.repeat(7)}01`, '7F2E31'],
  ['word of report 0', nothing, `2EFD23${'00'.repeat(8)}`, '7F2E31'],
  ['word of a report with a short counter', nothing, '2EFD2301', '7F2E13'],
  ['VIN by the TMU', nothing, `2EF190${'41'.repeat(17)}`, '7F2E33'],
  ['key of another TMU by the TMU', nothing, `2EFD16${'40'.repeat(32)}`, '7F2E33'],
  ['unknown routine', nothing, '31014711', '7F3131'],
  ['unknown identifier', nothing, '22ABCD', '7F2231'],
  ['unknown reset type', nothing, '1109', '7F1112'],
];

describe('a mistake in an order', () => {
  it.each(orders)('%s', async (_mistake, before, inner, answer) => {
    const bench = await EcuBench.start();
    await before(bench);
    expect(await bench.secured(inner)).toBe(answer);
  });
});

describe('a mistake of the tester', () => {
  it.each(rows)('%s', async (_mistake, before, request, answer) => {
    const bench = await EcuBench.start();
    await before(bench);
    expect(await bench.ask(request)).toBe(answer);
  });

  it('leaves the download as it was: it can go on', async () => {
    const bench = await EcuBench.start();
    await downloading(bench);
    await bench.expect(concatBytes(Uint8Array.of(0x36, 1), image.subarray(0, 500)));
    for (const wrong of [
      '3605AA',
      '36',
      '37',
      '3400440800000000001000',
      '38010001410002000100FF',
    ]) {
      expect((await bench.ask(wrong)).slice(0, 2)).toBe('7F');
    }
    await bench.expect(concatBytes(Uint8Array.of(0x36, 2), image.subarray(500)));
    await bench.expect('37');
    expect(await bench.ask(checkRequest(image))).toBe('7101020200');
  });
});

describe('functional requests', () => {
  it('are not answered with 11, 12, 31, 7E, 7F', async () => {
    const bench = await EcuBench.start();
    const functional = { functional: true };
    for (const request of ['BA', '1044', '22ABCD', '280301', '3101FF00', '3601AA', '2701']) {
      expect(await bench.ask(request, functional)).toBe('silent');
    }
    expect(await bench.ask('3E00', functional)).toBe('7E00');
    expect(await bench.ask('3E80', functional)).toBe('silent');
    expect(await bench.ask('22F186', functional)).toBe('62F18601');
  });

  it('switch sessions, trouble codes and communication, and S3 takes all of it back', async () => {
    const bench = await EcuBench.start();
    expect(await bench.ask('1003', { functional: true })).toMatch(/^5003/);
    expect(await bench.ask('8582', { functional: true })).toBe('silent');
    expect(await bench.ask('288101', { functional: true })).toBe('silent');
    expect(await bench.ask('22F186')).toBe('62F18603');
    await bench.clock.advance(5001);
    expect(await bench.ask('22F186')).toBe('62F18601');
    expect(bench.events).toContainEqual({ kind: 'session', session: 1, reason: 'S3' });
  });
});

describe('security access', () => {
  it('delays after three wrong keys, also through a reset and a power cut', async () => {
    const bench = await EcuBench.start();
    const wrong = `2702${'11'.repeat(16)}`;
    await bench.expect('1003');
    for (const answer of ['7F2735', '7F2735', '7F2736']) {
      await bench.expect('2701');
      expect(await bench.ask(wrong)).toBe(answer);
    }
    expect(await bench.ask('2701')).toBe('7F2737');
    await bench.expect('1101');
    await bench.clock.advance(300);
    await bench.expect('1003');
    expect(await bench.ask('2701')).toBe('7F2737');
    const again = await EcuBench.start({ storage: bench.storage.afterPowerCut() });
    await again.expect('1003');
    expect(await again.ask('2701')).toBe('7F2737');
    await again.clock.advance(10_001);
    await again.expect('1003');
    await again.unlock();
    expect(await again.ask('2701')).toBe(`6701${'00'.repeat(16)}`);
    // Another session locks again.
    await again.expect('1002');
    expect(await again.ask('3101FF00')).toBe('7F3133');
  });

  it('is not there on an ECU that asks for no key', async () => {
    const bench = await EcuBench.start({ name: 'CGW' });
    await bench.expect('1002');
    expect(await bench.ask('2701')).toBe('7F2711');
    await bench.sendMetadata(releaseOf(image, '2.0.0', 'CGW'));
    expect(await bench.ask('3101FF00')).toBe('7101FF0000');
  });
});

describe('an interrupted download', () => {
  const endings: readonly (readonly [string, (bench: EcuBench) => Promise<unknown>])[] = [
    ['by S3', (bench) => bench.clock.advance(5001)],
    ['by a reset', (bench) => bench.reset()],
    ['by another session', (bench) => bench.expect('1001')],
    ['by the same session', (bench) => bench.expect('1002')],
  ];
  it.each(endings)('%s must be erased again', async (_name, end) => {
    const bench = await EcuBench.start();
    await downloading(bench);
    await bench.expect(concatBytes(Uint8Array.of(0x36, 1), image.subarray(0, 500)));
    await end(bench);
    expect(await bench.ask('22FD00')).toBe('62FD000000010000');
    await bench.prepare();
    expect(await bench.ask(block(2, 10))).toBe('7F3624');
    expect(await bench.ask(downloadRequest(1000))).toBe('7F3422');
    await bench.program(image, '2.0.0');
    expect(await bench.ask('22FD00')).toBe('62FD000000020000');
  });

  it('before the check has not been checked', async () => {
    const bench = await EcuBench.start();
    await transferred(bench);
    await bench.prepare();
    expect(await bench.ask(checkRequest(image))).toBe('7F3124');
  });
});

describe('identifiers that can be written', () => {
  it('are kept through a power cut', async () => {
    const bench = await EcuBench.start();
    await bench.prepare();
    await bench.expect('2EF15A01020304');
    const again = await EcuBench.start({ storage: bench.storage.afterPowerCut() });
    expect(await again.ask('22F15A')).toBe('62F15A01020304');
  });
});

describe('trouble codes', () => {
  it('are counted, listed, and cleared one by one or all', async () => {
    const bench = await EcuBench.start();
    expect(await bench.ask('1901FF')).toBe('590109010001');
    expect(await bench.ask('1902FF')).toBe('59020993420008');
    expect(await bench.ask('190201')).toBe('590209');
    expect(await bench.ask('190A')).toBe('590A0993420008');
    expect(await bench.ask('14934200')).toBe('54');
    expect(await bench.ask('14FFFFFF')).toBe('54');
    const again = await EcuBench.start({ storage: bench.storage.afterPowerCut() });
    expect(await again.ask('1902FF')).toBe('590209');
  });
});
