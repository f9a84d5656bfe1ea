// The silence on the bus ends for every ECU, also where a request is lost, and where somebody else has left it.

import { describe, expect, it } from 'vitest';
import { BusSilence, S3_OVER_MS } from '../../src/drivers/bus-silence.ts';
import { Exchange } from '../../src/drivers/exchange.ts';
import { SessionRest } from '../../src/drivers/session-rest.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';
import { start } from './services-bench.ts';
import { type Answer, ecuOf, ScriptedEcu } from './support.ts';

const BOTH = { controlDtcSetting: 'required', communicationControl: 'required' } as const;
const QUIET = ['*1083', '*8582', '*288101'];
const RESTORED = ['*288001', '*8581', '*1081'];

function silenceOver(...answers: readonly (Answer | Answer[])[]) {
  const clock = new VirtualClock();
  const ecus = answers.map((answer) => new ScriptedEcu({ '1001': answer }, clock));
  const members = ecus.map((requester) => new Exchange({ ecu: ecuOf(), requester, clock }));
  const silence = new BusSilence({ members: () => members, clock });
  const broadcast = (request: Uint8Array): Promise<void> => members[0]!.broadcast(request);
  const within = <T>(work: Promise<T>): Promise<T> => clock.within(60_000, work);
  return { clock, ecus, silence, broadcast, within };
}

describe('the end of the silence', () => {
  it('is confirmed by every ECU behind the functional address', async () => {
    const { ecus, silence, broadcast, within } = silenceOver('5001', '5001');
    await within(silence.acquire(broadcast, BOTH));
    await within(silence.acquire(broadcast, BOTH));
    expect(silence.held).toBe(true);
    await within(silence.release(broadcast));
    expect(ecus[0]!.log).toEqual(QUIET);
    await within(silence.release(broadcast));
    expect(ecus[0]!.log).toEqual([...QUIET, ...RESTORED, '1001']);
    expect(ecus[1]!.log).toEqual(['1001']);
    expect(silence.held).toBe(false);
  });

  it('is asked for again where the request or its answer is lost', async () => {
    const { ecus, silence, broadcast, within } = silenceOver([
      'bus',
      'transport',
      'silent',
      '5001',
    ]);
    await within(silence.acquire(broadcast, BOTH));
    await within(silence.release(broadcast));
    expect(ecus[0]!.log).toEqual([...QUIET, ...RESTORED, '1001', '1001', '1001', '1001']);
  });

  it('takes an ECU that hears nothing for longer than S3 as gone from its session', async () => {
    const { clock, ecus, silence, broadcast, within } = silenceOver('silent', '7F1022');
    await within(silence.acquire(broadcast, BOTH));
    const startMs = clock.nowMs();
    await within(silence.release(broadcast));
    expect(clock.nowMs() - startMs).toBeGreaterThanOrEqual(S3_OVER_MS);
    expect(clock.nowMs() - startMs).toBeLessThan(S3_OVER_MS + 1000);
    // It has heard the request, and repeating it changes nothing.
    expect(ecus[1]!.log).toEqual(['1001']);
  });

  it('is said without having begun it, for what an earlier run has left', async () => {
    const { ecus, silence, within } = silenceOver('5001', '5001');
    await within(silence.restore());
    expect(ecus[0]!.log).toEqual([...RESTORED, '1001']);
    expect(ecus[1]!.log).toEqual(['1001']);
  });

  it('is not said by another driver while one needs the silence', async () => {
    const { ecus, silence, broadcast, within } = silenceOver('5001');
    await within(silence.acquire(broadcast, BOTH));
    await within(silence.restore());
    expect(ecus[0]!.log).toEqual(QUIET);
  });
});

describe('reading every second', () => {
  const EXTENDED = Uint8Array.of(0x10, 0x03);
  const TRAFFIC_OFF = Uint8Array.of(0x28, 0x01, 0x01);

  it('ends what a tester that has gone away left: S3 brings the default session back', async () => {
    const { link, clock, services, within } = await start();
    await within(() => link.client.request(EXTENDED));
    await within(() => link.client.request(TRAFFIC_OFF));
    let read = 0;
    for (let second = 0; second < 15; second++) {
      const done = await within((signal) => services.read('INV', [0xfd40], signal));
      if (done.ok) read++;
      await clock.advance(1000);
    }
    expect(link.events).toContainEqual({ kind: 'session', session: 1, reason: 'S3' });
    expect(read).toBeGreaterThanOrEqual(8);
    expect(link.requests.filter((request) => request === '22F186').length).toBeLessThanOrEqual(3);
  });

  it('leaves an output alone that a command holds', async () => {
    const { link, clock, services, within, run } = await start();
    expect(await run('setFan', { duty: 80 })).toMatchObject({ kind: 'done' });
    for (let second = 0; second < 15; second++) {
      expect(await within((signal) => services.read('INV', [0xfd52], signal))).toMatchObject({
        ok: true,
        readings: [{ value: 80 }],
      });
      await clock.advance(1000);
    }
    expect(link.requests).not.toContain('22F186');
  });

  /** Seconds of the first `until` at which the ECU may be asked, each second tried. */
  async function asked(until: number, session: () => number | undefined, isOurs = false) {
    const clock = new VirtualClock();
    const exchange = { activeSession: async () => session() };
    const rest = new SessionRest({ exchange, clock, isOurs: () => isOurs });
    const seconds: number[] = [];
    for (let second = 0; second < until; second++) {
      if (await rest.mayAsk()) seconds.push(second);
      await clock.advance(1000);
    }
    return seconds;
  }
  const all = (until: number): number[] => Array.from({ length: until }, (_none, index) => index);

  it('never pauses in the default session, nor in one that is held here', async () => {
    expect(await asked(100, () => 1)).toEqual(all(100));
    expect(await asked(100, () => 3, true)).toEqual(all(100));
  });

  it('goes on between rests while another tester holds its session', async () => {
    expect(await asked(24, () => 3)).toEqual([0, 1, 2, 3, 4, 11, 17, 23]);
  });

  it('gives an ECU that does not tell its session a rest once a minute', async () => {
    const seconds = await asked(130, () => undefined);
    expect(all(130).filter((second) => !seconds.includes(second))).toEqual([
      ...[60, 61, 62, 63, 64, 65],
      ...[126, 127, 128, 129],
    ]);
  });
});
