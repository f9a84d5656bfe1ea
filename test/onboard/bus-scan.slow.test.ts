// The scan of a bus: what is found, what is not guessed, and what is never sent.

import { describe, expect, it } from 'vitest';
import type { CanFrame } from '../../src/bus/can-frame.ts';
import { frameText, parseFrameText } from '../../src/bus/can-frame.ts';
import {
  type ScanOptions,
  type ScanResult,
  scanBus,
  scanCost,
  scanIds,
} from '../../src/onboard/bus-scan.ts';
import { SimulatedWire } from '../../src/sim/simulated-bus.ts';
import { VirtualClock } from '../../src/sim/virtual-clock.ts';

interface Responder {
  readonly request: string;
  readonly response: string;
  /** Answers to the functional identifier, too. */
  readonly functional?: string;
  readonly afterMs?: number;
  readonly answers?: Readonly<Record<string, string>>;
  readonly fd?: boolean;
}

/** Payloads by the single frame that asks. */
const NORMAL = { '3E00': '7E00', '22F186': '62F18601' };

function frame(text: string): CanFrame {
  const parsed = parseFrameText(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

class ScanBench {
  readonly clock = new VirtualClock();
  readonly wire = new SimulatedWire({ clock: this.clock, bitrate: 500_000 });
  readonly sent: string[] = [];

  constructor(responders: readonly Responder[]) {
    this.wire.trace = ({ frame: seen, from }) => {
      if (from === 'tester') this.sent.push(frameText(seen));
    };
    for (const responder of responders) this.#add(responder);
  }

  #add({
    request,
    response,
    functional,
    afterMs = 1,
    answers = NORMAL,
    fd = false,
  }: Responder): void {
    const bus = this.wire.attach(response);
    bus.subscribe([], ({ frame: seen }) => {
      const [id] = frameText(seen).split('#');
      if (id !== request && id !== functional) return;
      const length = seen.data[0] ?? 0;
      const asked = Buffer.from(seen.data.subarray(1, 1 + length))
        .toString('hex')
        .toUpperCase();
      const answer = answers[asked];
      if (answer === undefined) return;
      const size = (answer.length / 2).toString(16).padStart(2, '0');
      const text = `${response}${fd ? '##1' : '#'}${size}${answer}`.toUpperCase();
      this.clock.after('answer', afterMs, () => bus.send(frame(text)));
    });
  }

  /** A node that talks to nobody. */
  repeat(text: string, everyMs: number): void {
    const bus = this.wire.attach(`node ${text}`);
    const send = (): void => {
      bus.send(frame(text));
      this.clock.after('cycle', everyMs, send);
    };
    send();
  }

  scan(more: Partial<ScanOptions> = {}): Promise<ScanResult> {
    const bus = this.wire.attach('tester');
    const options = { bus, clock: this.clock, widths: [11], waitMs: 60, fd: false } as const;
    return this.clock.within(600_000, scanBus({ ...options, ...more }));
  }
}

const pairs = ({ found }: ScanResult): string[] =>
  found.map(({ request, response, functional, fd }) =>
    [
      `${request.id.toString(16)}:${response.id.toString(16)}`,
      ...(functional ? ['functional'] : []),
      ...(fd ? ['fd'] : []),
    ].join(' '),
  );

describe('a scan of 11 bit', () => {
  it('finds the response identifier that it hears, however far it is', async () => {
    const bench = new ScanBench([
      { request: '7E0', response: '7E8', functional: '7DF' },
      { request: '714', response: '77E' },
      { request: '745', response: '765' },
      { request: '760', response: '4C1' },
    ]);
    const result = await bench.scan();
    expect(pairs(result)).toEqual(['714:77e', '745:765', '760:4c1', '7e0:7e8 functional']);
  });

  it('sends 3E 00 and 22 F186 in single frames, and nothing else', async () => {
    const bench = new ScanBench([{ request: '7E0', response: '7E8' }]);
    await bench.scan();
    const requests = new Set(bench.sent.map((text) => text.replace(/^\w+/, '')));
    expect([...requests].sort()).toEqual(['#023E00CCCCCCCCCC', '#0322F186CCCCCCCC']);
    expect(bench.sent).toHaveLength(scanCost({ widths: [11], waitMs: 60 }).frames);
  });

  it('gives a slow answer to the identifier that was asked for it', async () => {
    const bench = new ScanBench([{ request: '710', response: '77A', afterMs: 140 }]);
    expect(pairs(await bench.scan())).toEqual(['710:77a']);
  });

  it('takes a refusal for an answer, and waits for the end of a pending one', async () => {
    const refusing = { '3E00': '7F3E11', '22F186': '7F2211' };
    const pending = { '3E00': '7E00', '22F186': '7F2278' };
    const bench = new ScanBench([
      { request: '701', response: '709', answers: refusing },
      // Its second question ends with 3E 00, since 22 has no end.
      { request: '702', response: '70A', answers: pending },
    ]);
    expect(pairs(await bench.scan())).toEqual(['701:709', '702:70a']);
  });

  it('takes no frame for an ECU that looks like an answer by chance', async () => {
    const bench = new ScanBench([]);
    bench.repeat('5A0#027E000000000000', 25);
    bench.repeat('123#0362F186', 40);
    const result = await bench.scan();
    // 7E 00 would answer every 3E 00; what other nodes send anyway is heard before anything is asked.
    expect(pairs(result)).toEqual([]);
  });

  it('never sends with an identifier that another node sends with', async () => {
    const bench = new ScanBench([{ request: '7E0', response: '7E8' }]);
    bench.repeat('720#11', 100);
    bench.repeat('7DF#22', 100);
    const result = await bench.scan();
    expect(pairs(result)).toEqual(['7e0:7e8']);
    expect(result.inUse.map(({ id }) => id)).toEqual([0x720]);
    expect(bench.sent.some((text) => /^(720|7DF)#/.test(text))).toBe(false);
  });

  it('does not send with the response identifier of an ECU that it has found', async () => {
    const bench = new ScanBench([{ request: '730', response: '750' }]);
    await bench.scan();
    expect(bench.sent.some((text) => text.startsWith('750#'))).toBe(false);
  });

  it('finds what answers in CAN FD', async () => {
    const bench = new ScanBench([{ request: '7E1', response: '7E9', fd: true }]);
    expect(pairs(await bench.scan({ fd: true }))).toEqual(['7e1:7e9 fd']);
    expect(bench.sent.every((text) => text.includes('##1'))).toBe(true);
  });

  it('is bounded in frames and time', async () => {
    const bench = new ScanBench([]);
    const began = bench.clock.nowMs();
    await bench.scan({ widths: [11, 29] });
    const { frames, seconds } = scanCost({ widths: [11, 29], waitMs: 60 });
    expect(bench.sent).toHaveLength(frames);
    expect(frames).toBeLessThan(600);
    expect((bench.clock.nowMs() - began) / 1000).toBeLessThan(seconds + 1);
  });

  it('ends when it is told to', async () => {
    const bench = new ScanBench([]);
    const abort = new AbortController();
    bench.clock.after('stop', 3000, () => abort.abort());
    const result = await bench.scan({ signal: abort.signal });
    expect(result.interrupted).toBe(true);
    expect(bench.sent.length).toBeLessThan(60);
  });

  it('says so when nobody acknowledges', async () => {
    const bench = new ScanBench([]);
    const bus = bench.wire.attach('tester');
    bus.setState('bus-off');
    const { clock } = bench;
    const scan = scanBus({ bus, clock, widths: [11], waitMs: 60, fd: false });
    await expect(clock.within(60_000, scan)).rejects.toMatchObject({ code: 'INTERFACE_DOWN' });
  });
});

describe('a scan of 29 bit', () => {
  it('finds normal fixed addressing, and others', async () => {
    const bench = new ScanBench([
      { request: '18DA10F1', response: '18DAF110', functional: '18DB33F1' },
      { request: '18DA40F1', response: '18FF0040' },
    ]);
    const result = await bench.scan({ widths: [29] });
    expect(pairs(result)).toEqual(['18da10f1:18daf110 functional', '18da40f1:18ff0040']);
  });

  it('asks 255 identifiers, not that of the tester', () => {
    const ids = scanIds([29]).map(({ id }) => id);
    expect(ids).toHaveLength(255);
    expect(ids).not.toContain(0x18daf1f1);
    expect(scanIds([11]).map(({ id }) => id)).not.toContain(0x7df);
  });
});
