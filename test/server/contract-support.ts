// Every answer that a test gets from a server is held against the contract: status, type, form, and the codes of refusals.

import type http from 'node:http';
import { type Endpoint, routeOf } from '../../src/contract/endpoint.ts';
import { ENDPOINTS } from '../../src/contract/endpoints/endpoints.ts';
import { HTML_TYPE, JSON_TYPE } from '../../src/contract/fields.ts';
import {
  COMMON_PROBLEMS,
  PROBLEM_STATUS,
  PROBLEM_TYPE,
  type ProblemCode,
  problemDetails,
} from '../../src/contract/problem.ts';
import { SEALED_TYPE } from '../../src/trust/sealed-session.ts';

export interface ObservedAnswer {
  readonly method: string;
  /** With its query, as it was sent. */
  readonly path: string;
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Uint8Array;
}

const NOTHING_THERE = 'there is nothing under this address';

const ALL: readonly Endpoint[] = ENDPOINTS;
/** Literal paths first, as the server has them. */
const PATTERNS = ALL.map((endpoint) => ({
  endpoint,
  pattern: new RegExp(`^${endpoint.path.replace(/:[A-Za-z]+/g, '[^/]+')}$`),
})).sort((a, b) => Number(a.endpoint.path.includes(':')) - Number(b.endpoint.path.includes(':')));

function endpointOf(method: string, path: string): Endpoint | undefined {
  const [plain = ''] = path.split('?');
  return PATTERNS.find(({ endpoint, pattern }) => endpoint.method === method && pattern.test(plain))
    ?.endpoint;
}

/** Throws Error for an answer that the contract does not know. Answers to other addresses are refusals of the server itself. */
export function requireContract(answer: ObservedAnswer): void {
  const endpoint = endpointOf(answer.method, answer.path);
  if (endpoint === undefined) return;
  const problem = problemIn(endpoint, answer);
  if (problem === undefined) return;
  throw new Error(
    `${routeOf(endpoint)} answered ${answer.status}, which is not in its contract: ${problem}`,
  );
}

function problemIn(
  { problems, response, sealed }: Endpoint,
  { status, headers, body }: ObservedAnswer,
): string | undefined {
  const type = (headers['content-type'] ?? '').split(';')[0]!.trim();
  const text = Buffer.from(body).toString('utf8');
  // A browser gets the same refusal as a page.
  if (type === HTML_TYPE && status >= 400) return undefined;
  if (type === PROBLEM_TYPE) {
    const parsed = problemDetails.safeParse(JSON.parse(text));
    if (!parsed.success) return parsed.error.issues[0]!.message;
    const code = parsed.data.code as ProblemCode;
    // A server of another role does not answer this endpoint at all.
    if (code === 'NOT_FOUND' && parsed.data.detail === NOTHING_THERE) return undefined;
    const known: readonly ProblemCode[] = [...problems, ...COMMON_PROBLEMS];
    if (!known.includes(code)) return `the code ${code} is not among its problems`;
    const statuses: readonly number[] = PROBLEM_STATUS[code];
    return statuses.includes(status) ? undefined : `${code} has the status ${statuses.join(', ')}`;
  }
  // The status of a sealed message is that of its content.
  if (sealed === true && type === SEALED_TYPE) return undefined;
  if (response.statuses[status] === undefined) return 'no such status';
  if (body.length === 0) return undefined;
  const types = response.types ?? (response.body === undefined ? [] : [JSON_TYPE]);
  if (!types.includes(type) && !(type === HTML_TYPE && response.statuses[303] !== undefined)) {
    return `the type ${type}, expected ${types.join(', ') || 'no body'}`;
  }
  if (type !== JSON_TYPE || response.body === undefined) return undefined;
  const parsed = response.body.safeParse(JSON.parse(text));
  if (parsed.success) return undefined;
  const issue = parsed.error.issues[0]!;
  return `${issue.path.join('.')}: ${issue.message}`;
}
