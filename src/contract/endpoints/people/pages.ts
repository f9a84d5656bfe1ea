// The pages for people: releases, vehicles, devices and the audit log.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { HTML_TYPE, JSON_TYPE, vehicleId } from '../../fields.ts';
import { PERSON_PROBLEMS } from '../../problem.ts';

const response = {
  statuses: { 200: 'the page, or its content as JSON', 303: 'to the log-in page' },
  types: [HTML_TYPE, JSON_TYPE],
} as const;

export const homePage = endpoint({
  id: 'homePage',
  method: 'GET',
  path: '/',
  summary: 'The page of releases.',
  request: {
    query: z.object({
      /** The file that was just released. */
      released: z.string().optional(),
    }),
  },
  response,
  problems: PERSON_PROBLEMS,
});

export const vehiclesPage = endpoint({
  id: 'vehiclesPage',
  method: 'GET',
  path: '/vehicles',
  summary: 'The page of all vehicles, or of one.',
  request: { query: z.object({ vin: vehicleId.optional() }) },
  response,
  problems: [...PERSON_PROBLEMS, 'BAD_FIELD'],
});

export const devicesPage = endpoint({
  id: 'devicesPage',
  method: 'GET',
  path: '/devices',
  summary: 'The page of registered devices.',
  response,
  problems: PERSON_PROBLEMS,
});

export const AUDIT_CATEGORIES = ['people', 'devices', 'vehicles', 'attacks', 'refusals'] as const;

export const auditPage = endpoint({
  id: 'auditPage',
  method: 'GET',
  path: '/audit',
  summary: 'The page of the audit log, the newest entries first.',
  request: {
    query: z.object({
      category: z
        .union([z.literal(''), z.enum(AUDIT_CATEGORIES)])
        .optional()
        .transform((value) => (value === '' ? undefined : value)),
      q: z.string().max(100).default(''),
      before: z
        .string()
        .regex(/^[0-9a-f]{28}$/, 'expected the id of an entry')
        .optional(),
    }),
  },
  response,
  problems: [...PERSON_PROBLEMS, 'BAD_FIELD'],
});
