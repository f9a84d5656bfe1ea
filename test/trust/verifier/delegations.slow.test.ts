// Delegations in a circle, and a chain without end.

import { describe, expect, it } from 'vitest';
import { ANY, search } from './delegations-support.ts';
import { mockImages } from './support.ts';

describe('a search', () => {
  it('leaves a circle, and gives up on a chain without end', () => {
    const circle = mockImages().delegate({ name: 'a', ...ANY });
    circle.delegate({ name: 'b', ...ANY }, {}, 'a').delegate({ name: 'a', ...ANY }, {}, 'b');
    expect(search(circle, 'x.bin')).toMatchObject({
      asked: ['a', 'b'],
      outcome: { ok: true, value: undefined },
    });
    const endless = mockImages();
    for (let count = 0; count < 70; count++) endless.delegate({ name: `role-${count}`, ...ANY });
    expect(search(endless, 'x.bin').outcome).toMatchObject({ code: 'ENDLESS_DATA' });
  });
});
