// The page of all paths is what the contract says.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { ENDPOINTS } from '../../src/contract/endpoints/endpoints.ts';
import { httpPage } from '../../src/contract/http-page.ts';

it('docs/http-paths.md is made from the contract: npm run schema', () => {
  const page = path.resolve(import.meta.dirname, '../../docs/http-paths.md');
  expect(readFileSync(page, 'utf8')).toBe(httpPage());
  expect(httpPage().match(/^## /gm)).toHaveLength(ENDPOINTS.length);
});
