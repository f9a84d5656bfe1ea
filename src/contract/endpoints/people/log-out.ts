// POST /logout: ends the session of a person.

import { z } from 'zod';
import { endpoint } from '../../endpoint.ts';
import { SEE_OTHER } from '../../fields.ts';
import { BODY_PROBLEMS, PERSON_PROBLEMS } from '../../problem.ts';

export const logOut = endpoint({
  id: 'logOut',
  method: 'POST',
  path: '/logout',
  summary: 'Ends the session of a person.',
  request: {
    form: z.object({ _csrf: z.string() }),
    headers: { 'X-CSRF-Token': 'instead of the field _csrf' },
  },
  response: { statuses: { 204: 'the session is over', 303: SEE_OTHER } },
  problems: [...PERSON_PROBLEMS, ...BODY_PROBLEMS, 'CSRF'],
});
