// A refusal as our server sends it (server/platform/http/problems.ts), for clients under test.

export function problemResponse(
  status: number,
  code: string,
  detail = `because of ${code}`,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const body = { type: 'about:blank', title: 'Refused', status, detail, code };
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/problem+json', ...headers },
  });
}
