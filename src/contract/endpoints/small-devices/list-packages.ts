// GET /ota/packages: the packages for small devices, the newest first.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { READER_PROBLEMS } from '../../problem.ts';
import { releasedPackage } from './released-package.ts';

export const listPackages = endpoint({
  id: 'listPackages',
  method: 'GET',
  path: '/ota/packages',
  summary: 'The packages for small devices, the newest first.',
  response: {
    statuses: { 200: 'the packages' },
    body: z.object({ packages: z.array(releasedPackage) }),
  },
  problems: READER_PROBLEMS,
});
