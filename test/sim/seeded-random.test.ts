// Seeded randomness: equal for equal seeds, different for different ones, and independent streams.

import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { seededRandom } from '../../src/sim/seeded-random.ts';

describe('a seed', () => {
  it('gives the same bytes and fractions in every run, on every machine', () => {
    // Fixed values: a change of the generator would change the meaning of every stored seed.
    expect(toHex(seededRandom(1).bytes(16))).toBe('9d3735fb0a31ef0b1b42310cccc46532');
    expect(seededRandom(1).fraction()).toBe(0.9812807806301862);
  });

  it('means the same as a number and as the text of a command line, and nothing else does', () => {
    const of = (seed: number | string): string => toHex(seededRandom(seed).bytes(32));
    expect(of(7)).toBe(of('7'));
    const seeds = [0, 1, 2, 7, '', 'a', 'A', -1, 2 ** 40];
    expect(new Set(seeds.map(of)).size).toBe(seeds.length);
  });

  it('draws evenly: fractions over the unit interval, all values of a byte', () => {
    const random = seededRandom('even');
    const tenths = new Array<number>(10).fill(0);
    for (let draw = 0; draw < 20_000; draw++) {
      const fraction = random.fraction();
      expect(fraction >= 0 && fraction < 1).toBe(true);
      tenths[Math.floor(fraction * 10)]!++;
    }
    // Five standard deviations of a binomial with n = 20,000 and p = 0.1.
    for (const count of tenths) expect(Math.abs(count - 2000)).toBeLessThan(212);
    const counts = new Array<number>(256).fill(0);
    for (const byte of random.bytes(64 * 1024)) counts[byte]!++;
    expect(Math.min(...counts)).toBeGreaterThan(256 - 5 * 16);
    expect(Math.max(...counts)).toBeLessThan(256 + 5 * 16);
  });
});

describe('a fork', () => {
  it('depends on the seed and the label, not on what was drawn', () => {
    const fresh = seededRandom(3);
    const used = seededRandom(3);
    used.bytes(100);
    used.fraction();
    expect(used.fork('bus').bytes(16)).toEqual(fresh.fork('bus').bytes(16));
    expect(fresh.fork('bus').bytes(16)).not.toEqual(fresh.fork('disk').bytes(16));
    expect(fresh.fork('bus').bytes(16)).not.toEqual(seededRandom(4).fork('bus').bytes(16));
  });

  it('leaves the stream that it came from alone', () => {
    const plain = seededRandom(3);
    const forked = seededRandom(3);
    forked.fork('bus').bytes(100);
    expect(forked.bytes(16)).toEqual(plain.bytes(16));
  });

  it('of a fork is a third stream: labels do not run together', () => {
    const of = (...labels: string[]): string =>
      toHex(labels.reduce((random, label) => random.fork(label), seededRandom(1)).bytes(16));
    const all = [of(), of('a'), of('a', 'b'), of('b', 'a'), of('ab'), of('a', 'b', ''), of('')];
    expect(new Set(all).size).toBe(all.length);
  });
});
