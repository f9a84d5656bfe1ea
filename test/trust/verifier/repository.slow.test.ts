// One repository whose chain of Roots does not end.

import { describe, expect, it } from 'vitest';
import { versionsOf } from '../../../src/trust/repository.ts';
import { anchorOf, mockImages, update, updated } from './support.ts';

/** Version 1 of everything. */
const OLD = mockImages();
OLD.files();

describe('Root', () => {
  it('goes on where an endless chain of it was cut', () => {
    const images = mockImages();
    for (let count = 0; count < 260; count++) images.newRoot();
    const first = update(images, anchorOf(images));
    expect(first.fault).toMatchObject({ where: 'root', code: 'ENDLESS_DATA' });
    expect(versionsOf(first.trust).root).toBe(257);
    expect(versionsOf(updated(images, first.trust)).root).toBe(261);
  });
});
