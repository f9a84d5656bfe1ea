// Makes OpenAPI 3.1 from a list of endpoints: JSON schemas of requests and answers, statuses, codes of refusals.

import { STATUS_CODES } from 'node:http';
import { z } from 'zod';
import { SEALED_TYPE } from '../trust/sealed-session.ts';
import type { Endpoint } from './endpoint.ts';
import { FORM_TYPE, JSON_TYPE, MULTIPART_TYPE, OCTETS_TYPE } from './fields.ts';
import {
  COMMON_PROBLEMS,
  PROBLEM_STATUS,
  PROBLEM_TYPE,
  problemDetails,
  sealedProblem,
} from './problem.ts';

type Json = Readonly<Record<string, unknown>>;

/** How a caller authenticates: each entry is one way, an empty object means without authentication. */
export type Security = readonly Readonly<Record<string, readonly string[]>>[];

export interface OpenApiOptions<E extends Endpoint> {
  /** Version of the package. */
  readonly version: string;
  /** Names of `securitySchemes` for an endpoint. */
  readonly security: (endpoint: E) => Security;
  readonly securitySchemes: Json;
}

export interface OpenApiDocument {
  readonly openapi: '3.1.1';
  readonly info: Json;
  readonly servers?: readonly { readonly url: string }[];
  readonly paths: Readonly<Record<string, Json>>;
  readonly components: Json;
}

const SCHEMAS = '#/components/schemas';

/** Makes the document. Throws Error for two schemas or endpoints with the same name. */
export function openApiOf<E extends Endpoint>(
  endpoints: readonly E[],
  { version, security, securitySchemes }: OpenApiOptions<E>,
): OpenApiDocument {
  const schemas = new Schemas();
  const paths: Record<string, Record<string, unknown>> = {};
  for (const endpoint of endpoints) {
    const path = endpoint.path.replace(/:([A-Za-z]+)/g, '{$1}');
    paths[path] ??= {};
    paths[path][endpoint.method.toLowerCase()] = operationOf(endpoint, schemas, security(endpoint));
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'can-ota backend',
      version,
      description:
        'Vehicles, small devices, tools and people use the backend through this interface.',
    },
    paths,
    components: { schemas: schemas.json(), securitySchemes },
  };
}

function operationOf(endpoint: Endpoint, schemas: Schemas, security: Security): Json {
  const { id, summary } = endpoint;
  const parameters = parametersOf(endpoint);
  const requestBody = requestBodyOf(endpoint, schemas);
  return {
    operationId: id,
    summary,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(requestBody === undefined ? {} : { requestBody }),
    responses: { ...answersOf(endpoint, schemas), ...refusalsOf(endpoint, schemas) },
    security,
  };
}

function parametersOf({ request }: Endpoint): Json[] {
  const { params, query, headers = {} } = request ?? {};
  const of = (place: 'path' | 'query', fields: z.ZodObject | undefined): Json[] =>
    Object.entries(fields?.shape ?? {}).map(([name, schema]) => ({
      name,
      in: place,
      required: place === 'path' || !schema.safeParse(undefined).success,
      schema: inlineJson(schema),
    }));
  return [
    ...of('path', params),
    ...of('query', query),
    ...Object.entries(headers).map(([name, description]) => ({
      name,
      in: 'header',
      description,
      schema: { type: 'string' },
    })),
  ];
}

function requestBodyOf({ id, sealed, request }: Endpoint, schemas: Schemas): Json | undefined {
  const { body, form, multipart } = request ?? {};
  const name = `${capital(id)}Request`;
  if (sealed === true) {
    if (body === undefined) return undefined;
    return { required: true, content: sealedContent(schemas.ref(body, name)) };
  }
  const content = {
    ...(body === undefined ? {} : { [JSON_TYPE]: { schema: schemas.ref(body, name) } }),
    ...(form === undefined
      ? {}
      : {
          [FORM_TYPE]: {
            schema:
              form === body ? schemas.ref(form, name) : schemas.ref(form, `${capital(id)}Form`),
          },
        }),
    ...(multipart === undefined
      ? {}
      : { [MULTIPART_TYPE]: { schema: schemas.ref(multipart, `${capital(id)}Upload`) } }),
  };
  return Object.keys(content).length === 0 ? undefined : { required: true, content };
}

/** The content of a sealed message, which OpenAPI cannot describe: octets, with the content in an extension. */
function sealedContent(content: Json): Json {
  return {
    [SEALED_TYPE]: {
      schema: { type: 'string', contentMediaType: OCTETS_TYPE },
      'x-can-ota-content': content,
    },
  };
}

function answersOf({ id, sealed, response }: Endpoint, schemas: Schemas): Json {
  const { statuses, body, types = body === undefined ? [] : [JSON_TYPE] } = response;
  const schema = body === undefined ? undefined : schemas.ref(body, `${capital(id)}Response`);
  const content =
    sealed === true && schema !== undefined
      ? sealedContent(schema)
      : Object.fromEntries(
          types.map((type) => [
            type,
            { schema: type === JSON_TYPE ? (schema ?? {}) : { type: 'string' } },
          ]),
        );
  return Object.fromEntries(
    Object.entries(statuses).map(([status, description]) => [
      status,
      isEmpty(Number(status)) || Object.keys(content).length === 0
        ? { description }
        : { description, content },
    ]),
  );
}

/** Whether answers with this status have no body: 204, 303 and 304. */
function isEmpty(status: number): boolean {
  return status === 204 || (status >= 300 && status < 400);
}

/** The codes by status. An answer with the same status stays, and the problem is added to it. */
function refusalsOf({ problems, response, sealed }: Endpoint, schemas: Schemas): Json {
  const codes = [...new Set([...COMMON_PROBLEMS, ...problems])].sort();
  const byStatus = new Map<number, string[]>();
  for (const code of codes) {
    for (const status of PROBLEM_STATUS[code]) {
      byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
    }
  }
  const problem = schemas.ref(problemDetails, 'Problem');
  const inside = sealed === true ? sealedContent(schemas.ref(sealedProblem, 'SealedProblem')) : {};
  return Object.fromEntries(
    [...byStatus]
      .filter(([status]) => response.statuses[status] === undefined)
      .map(([status, each]) => [
        String(status),
        {
          description: `${STATUS_CODES[status]}: ${each.join(', ')}`,
          content: {
            [PROBLEM_TYPE]: {
              schema: {
                allOf: [problem, { properties: { code: { enum: each } } }],
              },
            },
            ...inside,
          },
        },
      ]),
  );
}

/** Schemas by name. A named schema that is part of another becomes a reference. */
class Schemas {
  readonly #registry = z.registry<{ id: string }>();
  readonly #names = new Set<string>();

  /** A reference to the schema by its name from `meta`, or by `name`. */
  ref(schema: z.ZodType, name: string): Json {
    return { $ref: `${SCHEMAS}/${this.#nameOf(schema, name)}` };
  }

  json(): Json {
    const printed = z.toJSONSchema(this.#registry, {
      ...AS_IT_TRAVELS,
      uri: (id) => `${SCHEMAS}/${id}`,
    });
    // Zod collects named parts in one schema that only holds definitions.
    const text = JSON.stringify(printed.schemas).replaceAll(
      `${SCHEMAS}/${PARTS}#/$defs/`,
      `${SCHEMAS}/`,
    );
    const { [PARTS]: parts, ...schemas } = JSON.parse(text) as typeof printed.schemas;
    return Object.fromEntries(
      Object.entries({ ...(parts?.$defs as typeof schemas), ...schemas })
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, { $schema: _, $id: __, ...schema }]) => [name, schema]),
    );
  }

  #nameOf(schema: z.ZodType, fallback: string): string {
    const known = this.#registry.get(schema)?.id;
    if (known !== undefined) return known;
    const name = z.globalRegistry.get(schema)?.id ?? fallback;
    if (this.#names.has(name)) throw new Error(`two schemas are called ${name}`);
    this.#names.add(name);
    this.#registry.add(schema, { id: name });
    return name;
  }
}

const PARTS = '__shared';

/** Options that print the input of a schema, which is the form on the wire, and not its transformed output. */
const AS_IT_TRAVELS = { io: 'input', unrepresentable: 'any', target: 'draft-2020-12' } as const;

function inlineJson(schema: z.core.$ZodType): Json {
  const { $schema: _, ...json } = z.toJSONSchema(schema, AS_IT_TRAVELS);
  return json;
}

function capital(id: string): string {
  return id.charAt(0).toUpperCase() + id.slice(1);
}
