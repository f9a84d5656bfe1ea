// GET /metrics: numbers for Prometheus.

import { endpoint } from '../../endpoint.ts';
import { READER_PROBLEMS } from '../../problem.ts';

export const metrics = endpoint({
  id: 'metrics',
  method: 'GET',
  path: '/metrics',
  summary: 'Numbers in the text format of Prometheus; names of callers only for operators.',
  response: { statuses: { 200: 'the numbers' }, types: ['text/plain'] },
  problems: READER_PROBLEMS,
});
