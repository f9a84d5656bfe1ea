// GET and POST /login: the log-in of people.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { HTML_TYPE, SEE_OTHER, safeLine } from '../../fields.ts';
import { BODY_PROBLEMS } from '../../problem.ts';

const ROLES = ['admin', 'viewer'] as const;

const logInFields = z.object({ name: safeLine(200), password: z.string().max(1000) });

/** Who is logged in. */
export const personSession = z
  .object({
    user: z.string(),
    role: z.enum(ROLES),
    /** Token for the header X-CSRF-Token of each request that changes something. */
    csrfToken: z.string().min(1),
  })
  .meta({ id: 'PersonSession' });

export const logInPage = endpoint({
  id: 'logInPage',
  method: 'GET',
  path: '/login',
  summary: 'The log-in page.',
  response: {
    statuses: { 200: 'the page', 303: 'the person is already logged in' },
    types: [HTML_TYPE],
  },
  problems: [],
});

export const logIn = endpoint({
  id: 'logIn',
  method: 'POST',
  path: '/login',
  summary: 'Logs a person in; the answer sets the cookie of the session.',
  request: { body: logInFields, form: logInFields },
  response: { statuses: { 200: 'who is logged in', 303: SEE_OTHER }, body: personSession },
  problems: [...BODY_PROBLEMS, 'FOREIGN_ORIGIN', 'LOGIN_FAILED', 'LOGIN_THROTTLED'],
});
