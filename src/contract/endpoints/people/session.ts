// GET /session: who is logged in.

import { endpoint } from '../../endpoint.ts';
import { PERSON_PROBLEMS } from '../../problem.ts';
import { personSession } from './log-in.ts';

export const showSession = endpoint({
  id: 'showSession',
  method: 'GET',
  path: '/session',
  summary: 'Who is logged in.',
  response: { statuses: { 200: 'the person' }, body: personSession },
  problems: PERSON_PROBLEMS,
});
