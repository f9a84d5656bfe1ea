// docs/http-paths.md: every endpoint of the contract with its answers and codes.

import type { Endpoint } from './endpoint.ts';
import { ENDPOINTS } from './endpoints/endpoints.ts';

const INTRODUCTION = `# HTTP: all paths

Made from the contract that server, vehicles, devices and tools share (\`npm run schema\`). A server prints the same with all schemas,
and with who may use each path, as OpenAPI 3.1: \`GET /openapi.json\`. [HTTP](http.md) says what the paths are for.
`;

export function httpPage(): string {
  return `${INTRODUCTION}\n${ENDPOINTS.map(section).join('\n')}`;
}

function section(given: Endpoint): string {
  const { method, path, summary, sealed, request = {}, response, problems } = given;
  const lines = [`## ${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`, '', summary];
  if (sealed) lines.push('', 'Request and answer are sealed messages.');
  const query = Object.keys(request.query?.shape ?? {});
  const facts: [string, readonly string[]][] = [
    ['Query', query.map(code)],
    [
      'Headers',
      Object.entries(request.headers ?? {}).map(([name, text]) => `${code(name)}: ${text}`),
    ],
    ['Answers', Object.entries(response.statuses).map(([status, text]) => `${status} ${text}`)],
    ['Codes', problems.toSorted().map(code)],
  ];
  const shown = facts.filter(([, values]) => values.length > 0);
  lines.push(
    '',
    ...shown.map(
      ([name, values]) =>
        `* ${name}: ${values.join(name === 'Answers' || name === 'Headers' ? '; ' : ', ')}.`,
    ),
  );
  return `${lines.join('\n')}\n`;
}

function code(text: string): string {
  return `\`${text}\``;
}
