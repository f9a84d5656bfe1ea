// The bus contract on a real vcan0, compared with the kernel's own tools. Left out where there is no vcan0.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import type { CanBus } from '../../src/bus/can-bus.ts';
import { classicFrame, fdFrame, frameText } from '../../src/bus/can-frame.ts';
import { formatLogEntry } from '../../src/bus/candump-log.ts';
import { interfaceStatus } from '../../src/bus/interface-status.ts';
import { openBus } from '../../src/bus/open-bus.ts';
import { receiveBurst } from '../../src/bus/receive-buffer.ts';
import { SocketCanBus } from '../../src/bus/socketcan-bus.ts';
import { sleep, systemClock } from '../../src/core/clock.ts';
import { silentLogger } from '../../src/core/logger.ts';
import { busContract, collector, send } from '../support/bus-contract.ts';

const NAME = 'vcan0';
const available = interfaceStatus(NAME)?.up === true;
if (!available) {
  process.stdout.write(
    `left out: the bus contract on ${NAME}, there is none here (scripts/with-vcan.sh brings one)\n`,
  );
}

const buses: CanBus[] = [];
afterEach(async () => {
  await Promise.all(buses.splice(0).map((bus) => bus.close()));
});

async function open(fd = false): Promise<SocketCanBus> {
  const bus = await SocketCanBus.open({
    interfaceName: NAME,
    clock: systemClock,
    logger: silentLogger,
    fd,
  });
  buses.push(bus);
  return bus;
}

const wait = (ms: number): Promise<unknown> => sleep(systemClock, 'test', ms);
const ip = (...args: string[]): void => void execFileSync('ip', args);

describe.skipIf(!available)(NAME, () => {
  busContract(NAME, async () => {
    const [a, b] = [await open(), await open()];
    return {
      a,
      b,
      until: (promise) => promise,
      takeDown: async () => ip('link', 'set', NAME, 'down'),
      bringUp: async () => ip('link', 'set', NAME, 'up'),
      close: async () => {
        await Promise.all([a.close(), b.close()]);
      },
    };
  });

  it('is the default', async () => {
    const { bus, why } = await openBus(undefined, { clock: systemClock, logger: silentLogger });
    buses.push(bus);
    expect(bus).toMatchObject({ kind: 'socketcan', name: NAME, fd: true });
    expect(why).toBe('vcan0, because the interface is there');
  });

  it('shows candump what is sent, flags included', async () => {
    const bus = await open();
    const candump = spawn('candump', ['-L', NAME], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    candump.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    const probe = classicFrame(0x7ff, new Uint8Array(0));
    const lines = (): (string | undefined)[] =>
      text
        .split('\n')
        .slice(0, -1)
        .map((line) => line.split(' ')[2])
        .filter((line) => line !== '7FF#');
    // candump does not report when it is ready; once it shows a frame, it is.
    while (text === '') {
      await send(bus, probe);
      await wait(20);
    }
    const frames = [
      classicFrame(0x7e0, Uint8Array.of(0x02, 0x3e, 0x00)),
      classicFrame(0x18da10f1, Uint8Array.of(1), true),
      { ...classicFrame(0x123, new Uint8Array(0)), remote: true },
      fdFrame(0x7e0, new Uint8Array(64).fill(0x5a)),
      fdFrame(0x7e0, Uint8Array.of(1, 2), false, false),
    ];
    for (const frame of frames) expect((await send(bus, frame)).kind).toBe('sent');
    for (let tries = 0; tries < 2400 && lines().length < frames.length; tries++) await wait(50);
    candump.kill();
    const seen = lines();
    // candump writes the FDF flag of newer kernels (4) beside BRS (1).
    expect(
      seen.map((line) => line?.replace(/##[45]/, (flags) => `##${Number(flags[2]) & 1}`)),
    ).toEqual(frames.map(frameText));
  });

  it('hears what cansend and canplayer send', async () => {
    const bus = await open();
    const seen = collector();
    bus.subscribe([], seen.onFrame);
    await send(bus, classicFrame(1, new Uint8Array(0)));
    execFileSync('cansend', [NAME, '5A1#11.2233.44556677.88']);
    const frames = [
      classicFrame(0x7e8, Uint8Array.of(6, 0x62)),
      classicFrame(0x18daf110, Uint8Array.of(1), true),
      fdFrame(0x7e8, new Uint8Array(12).fill(3)),
    ];
    const log = frames.map((frame, index) =>
      formatLogEntry({ wallMs: 1_700_000_000_000 + index, interfaceName: NAME, frame }),
    );
    const player = spawn('canplayer', [], { stdio: ['pipe', 'inherit', 'inherit'] });
    player.stdin.end(`${log.join('\n')}\n`);
    expect(await once(player, 'exit')).toEqual([0, null]);
    await seen.reached(4);
    expect(seen.texts).toEqual([
      'rx 5A1#1122334455667788',
      ...frames.map((frame) => `rx ${frameText(frame)}`),
    ]);
  });

  it('loses nothing that cangen sends while the main thread is busy', async () => {
    const bus = await open();
    let count = 0;
    bus.subscribe([{ id: 0x100, mask: 0x700, extended: false }], () => count++);
    await send(bus, classicFrame(1, new Uint8Array(0)));
    // 1 ms apart: three seconds of a busy bus, ten times what the socket's buffer holds.
    const cangen = spawn('cangen', [
      NAME,
      '-I',
      '123',
      '-L',
      '8',
      '-D',
      'i',
      '-g',
      '1',
      '-n',
      '2500',
    ]);
    await wait(100);
    const untilMs = systemClock.nowMs() + 1500;
    while (systemClock.nowMs() < untilMs);
    if (cangen.exitCode === null) await once(cangen, 'exit');
    for (let tries = 0; tries < 6000 && count < 2500; tries++) await wait(20);
    expect(count).toBe(2500);
    expect(bus.statistics().lost).toBe(0);
  });

  it('loses nothing of a flood without pauses that fits its receive buffer', async () => {
    const frames = Math.min(10_000, receiveBurst());
    const bus = await open();
    let count = 0;
    bus.subscribe([{ id: 0x100, mask: 0x700, extended: false }], () => count++);
    await send(bus, classicFrame(1, new Uint8Array(0)));
    const cangen = spawn('cangen', [
      NAME,
      '-I',
      '123',
      '-L',
      '8',
      '-g',
      '0',
      '-p',
      '10',
      '-n',
      String(frames),
    ]);
    // The main thread is blocked for a while.
    const untilMs = systemClock.nowMs() + 500;
    while (systemClock.nowMs() < untilMs);
    if (cangen.exitCode === null) await once(cangen, 'exit');
    for (let tries = 0; tries < 6000 && count < frames; tries++) await wait(20);
    expect(count).toBe(frames);
  });

  it('is refused for CAN FD while its mtu is 16', async () => {
    ip('link', 'set', NAME, 'down');
    ip('link', 'set', NAME, 'mtu', '16', 'up');
    try {
      await expect(open(true)).rejects.toMatchObject({
        code: 'NO_FD',
        message: expect.stringContaining('mtu 72'),
      });
      const bus = await open();
      expect(bus.fd).toBe(false);
      expect(await send(bus, fdFrame(1, new Uint8Array(0)))).toMatchObject({ code: 'REFUSED' });
    } finally {
      ip('link', 'set', NAME, 'down');
      ip('link', 'set', NAME, 'mtu', '72', 'up');
    }
  });

  it('is refused while it is down', async () => {
    ip('link', 'set', NAME, 'down');
    try {
      await expect(open()).rejects.toMatchObject({
        code: 'INTERFACE_DOWN',
        message: expect.stringContaining('ip link set vcan0 up'),
      });
    } finally {
      ip('link', 'set', NAME, 'up');
    }
  });

  it('lets a process exit without closing it', () => {
    const script = `
      const { openBus } = await import(${JSON.stringify(new URL('../../src/bus/open-bus.ts', import.meta.url).href)});
      const { systemClock } = await import(${JSON.stringify(new URL('../../src/core/clock.ts', import.meta.url).href)});
      const { silentLogger } = await import(${JSON.stringify(new URL('../../src/core/logger.ts', import.meta.url).href)});
      const { bus } = await openBus('${NAME}', { clock: systemClock, logger: silentLogger });
      bus.monitor(() => {});
      bus.send({ id: 1, extended: false, data: new Uint8Array(1), fd: false, brs: false, remote: false }, () => process.exit(0));
    `;
    execFileSync(process.execPath, ['--input-type=module', '-e', script]);
  });
});
