// Passwords at the cost that a server uses.

import { describe, expect, it } from 'vitest';
import { Passwords } from '../../server/features/people/passwords.ts';
import { PASSWORD } from './support.ts';

describe('Passwords', () => {
  it('uses cost 12 unless told', async () => {
    expect(await new Passwords().hash(PASSWORD)).toMatch(/^\$2[by]\$12\$/);
  });
});
