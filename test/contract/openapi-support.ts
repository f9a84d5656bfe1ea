// The structure of an OpenAPI 3.1 document, as far as ours uses it (OpenAPI 3.1.1, 4.8), and that each reference leads somewhere.

import { z } from 'zod';

const schemaObject = z.record(z.string(), z.unknown());
const mediaType = z.strictObject({
  schema: schemaObject,
  'x-can-ota-content': z.strictObject({ $ref: z.string() }).optional(),
});
const content = z
  .record(z.string().regex(/^[a-z]+\/[a-z0-9.+-]+$/), mediaType)
  .refine((all) => Object.keys(all).length > 0, 'content without a media type');
const parameter = z
  .strictObject({
    name: z.string().min(1),
    in: z.enum(['path', 'query', 'header', 'cookie']),
    required: z.boolean().optional(),
    description: z.string().optional(),
    schema: schemaObject,
  })
  .refine(
    ({ in: place, required }) => place !== 'path' || required === true,
    'a path parameter is required',
  );
const operation = z.strictObject({
  operationId: z.string().regex(/^[a-z][A-Za-z]*$/),
  summary: z.string().min(1),
  parameters: z.array(parameter).optional(),
  requestBody: z.strictObject({ required: z.literal(true), content }).optional(),
  responses: z
    .record(
      z.string().regex(/^[1-5]\d\d$/),
      z.strictObject({ description: z.string().min(1), content: content.optional() }),
    )
    .refine((all) => Object.keys(all).some((status) => status < '400'), 'no answer but refusals'),
  security: z.array(z.record(z.string(), z.array(z.string()))),
});
const pathItem = z.strictObject({
  get: operation.optional(),
  put: operation.optional(),
  post: operation.optional(),
  delete: operation.optional(),
});
const securityScheme = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('http'),
    scheme: z.string(),
    description: z.string().optional(),
  }),
  z.strictObject({
    type: z.literal('apiKey'),
    in: z.enum(['query', 'header', 'cookie']),
    name: z.string(),
    description: z.string().optional(),
  }),
]);
const documentSchema = z.strictObject({
  openapi: z.string().regex(/^3\.1\.\d+$/),
  info: z.strictObject({ title: z.string(), version: z.string(), description: z.string() }),
  servers: z
    .array(z.strictObject({ url: z.string().min(1) }))
    .min(1)
    .optional(),
  paths: z.record(z.string().startsWith('/'), pathItem),
  components: z.strictObject({
    schemas: z.record(z.string().regex(/^[a-zA-Z0-9._-]+$/), schemaObject),
    securitySchemes: z.record(z.string(), securityScheme),
  }),
});

/** Throws Error that says where the document is wrong. */
export function requireOpenApi(value: unknown): void {
  // As it travels.
  const json = JSON.parse(JSON.stringify(value)) as unknown;
  const parsed = documentSchema.safeParse(json);
  if (!parsed.success) throw new Error(z.prettifyError(parsed.error));
  const { paths, components } = parsed.data;
  const ids = new Set<string>();
  for (const [path, item] of Object.entries(paths)) {
    const named = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name!).toSorted();
    for (const each of Object.values(item)) {
      if (each === undefined) continue;
      const { operationId, parameters = [], security } = each;
      if (ids.has(operationId)) throw new Error(`two operations are called ${operationId}`);
      ids.add(operationId);
      const given = parameters.filter((one) => one.in === 'path').map(({ name }) => name);
      if (given.toSorted().join() !== named.join()) {
        throw new Error(
          `${path} has the parameters ${named.join()}, described are ${given.join()}`,
        );
      }
      for (const scheme of security.flatMap((way) => Object.keys(way))) {
        if (components.securitySchemes[scheme] === undefined)
          throw new Error(`${path}: no scheme ${scheme}`);
      }
    }
  }
  for (const [, target] of JSON.stringify(json).matchAll(/"\$ref":"([^"]+)"/g)) {
    const name = /^#\/components\/schemas\/(.+)$/.exec(target!)?.[1];
    if (name === undefined || components.schemas[name] === undefined) {
      throw new Error(`${target} leads nowhere`);
    }
  }
}
