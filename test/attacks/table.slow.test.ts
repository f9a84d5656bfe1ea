// The table as a whole: every attack that has a name is in it, every row says all it has to, and what is open says so.

import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ATTACKS } from '../../src/trust/attack.ts';
import { collectAttacks } from '../support/attack-table.ts';

const files = readdirSync(import.meta.dirname).filter((file) => !file.startsWith('table.'));
const rows = await collectAttacks(() =>
  Promise.all(files.map((file) => import(`${import.meta.dirname}/${file}`))),
);

describe('the table of attacks', () => {
  it('has rows of every place', () => {
    const places = new Map<string, number>();
    for (const { place } of rows) places.set(place, (places.get(place) ?? 0) + 1);
    expect([...places.keys()].sort()).toEqual(['CAN bus', 'network', 'repository']);
    for (const count of places.values()) expect(count).toBeGreaterThan(30);
  });

  it.each(ATTACKS)('meets %s', (code) => {
    expect(rows.some((row) => row.code === code)).toBe(true);
  });

  it('names each attack once', () => {
    const names = rows.map(({ place, name }) => `${place}: ${name}`);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  it('has one line for what he has, what he does, and what the vehicle does', () => {
    for (const { name, has, does, vehicle, open } of rows) {
      for (const line of [name, has, does, vehicle, ...(open === undefined ? [] : [open])]) {
        expect(line, name).toMatch(/^\S[^\n]{2,140}$/);
      }
    }
  });

  it('has all attacks that Uptane names', () => {
    const wanted = [
      'eavesdrop',
      'drop',
      'slow retrieval',
      'freeze',
      'partial bundle',
      'rollback',
      'endless',
      'mixed bundle',
      'mix and match',
      'arbitrary software',
      'Director compromised',
      'image repository compromised',
      'both repositories compromised',
      'key revoked',
      'Director replay',
      'nonce',
      'other hardware',
      'another ECU',
      'encrypted image',
      'forged approval',
      'replayed approval',
      'replayed bundle',
      'forged version report',
      'replayed version report',
    ];
    const names = rows.map(({ name }) => name);
    const missing = wanted.filter((text) => !names.some((name) => name.includes(text)));
    expect(missing).toEqual([]);
  });

  it('says of every role of both repositories what becomes of rollback, freeze and forgery', () => {
    for (const attack of ['rollback', 'freeze', 'arbitrary software']) {
      for (const repository of ['Director', 'image repository']) {
        for (const role of ['root', 'timestamp', 'snapshot', 'targets']) {
          const name = `${attack}, ${repository} ${role}`;
          expect(
            rows.some((row) => row.name === name),
            name,
          ).toBe(true);
        }
      }
    }
  });
});
