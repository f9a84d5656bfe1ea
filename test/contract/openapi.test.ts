// OpenAPI 3.1 printed from the contract: every route of the server is in it, and it is a valid document.

import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Endpoint, pathOf, routeOf, urlOf } from '../../src/contract/endpoint.ts';
import { ENDPOINTS } from '../../src/contract/endpoints/endpoints.ts';
import { openApiOf } from '../../src/contract/openapi.ts';
import { COMMON_PROBLEMS, PROBLEM_STATUS } from '../../src/contract/problem.ts';
import { requireOpenApi } from './openapi-support.ts';

const ALL: readonly Endpoint[] = ENDPOINTS;
const options = { version: '1.2.3', security: () => [], securitySchemes: {} };
const printed = openApiOf(ALL, options);

describe('the list of endpoints', () => {
  it('has each id and each route once', () => {
    expect(new Set(ALL.map(({ id }) => id)).size).toBe(ALL.length);
    expect(new Set(ALL.map(routeOf)).size).toBe(ALL.length);
  });

  it('describes each parameter of a path', () => {
    for (const { path, request } of ALL) {
      const named = [...path.matchAll(/:([A-Za-z]+)/g)].map(([, name]) => name!);
      expect(Object.keys(request?.params?.shape ?? {}).toSorted(), path).toEqual(named.toSorted());
    }
  });

  it('names each problem once, and none that every endpoint has', () => {
    for (const { id, problems } of ALL) {
      const common = problems.filter((code) =>
        (COMMON_PROBLEMS as readonly string[]).includes(code),
      );
      expect(common, id).toEqual([]);
    }
  });

  it('uses each problem of the table', () => {
    const used = new Set<string>([...COMMON_PROBLEMS, ...ALL.flatMap(({ problems }) => problems)]);
    expect(Object.keys(PROBLEM_STATUS).filter((code) => !used.has(code))).toEqual([]);
  });
});

describe('paths', () => {
  const one = { path: '/commands/:vin/:id' } as const;

  it('are filled in percent-encoded', () => {
    expect(pathOf(one, { vin: 'VIN1', id: 'a/b?c' })).toBe('/commands/VIN1/a%2Fb%3Fc');
    expect(pathOf({ path: '/healthz' })).toBe('/healthz');
  });

  it('are below the path of the backend', () => {
    const base = new URL('https://host/ota/');
    expect(urlOf(base, one, { vin: 'V', id: '1' }).href).toBe('https://host/ota/commands/V/1');
  });
});

describe('OpenAPI', () => {
  it('has an operation for each endpoint, and no other', () => {
    const found = Object.entries(printed.paths).flatMap(([path, item]) =>
      Object.entries(item).map(
        ([method, operation]) =>
          `${method.toUpperCase()} ${path} ${(operation as { operationId: string }).operationId}`,
      ),
    );
    const expected = ALL.map(
      (each) => `${each.method} ${each.path.replace(/:([A-Za-z]+)/g, '{$1}')} ${each.id}`,
    );
    expect(found.toSorted()).toEqual(expected.toSorted());
  });

  it('is a valid document', () => {
    expect(() => requireOpenApi(printed)).not.toThrow();
  });

  it('has JSON schemas of the draft that OpenAPI 3.1 uses', () => {
    const { schemas } = printed.components as { schemas: Record<string, object> };
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    for (const [name, schema] of Object.entries(schemas)) {
      expect(ajv.validateSchema(schema), name).toBe(true);
    }
  });

  it('says of a request what its schema takes', () => {
    const { schemas } = printed.components as { schemas: Record<string, object> };
    const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(
      schemas.ProvisionRequest!,
    );
    expect(validate({ hw_id: 'chip-1', vin: null })).toBe(true);
    expect(validate({ vin: 'V1' })).toBe(false);
    expect(validate({ hw_id: 'chip-1', colour: 'red' })).toBe(false);
  });

  it('names a schema once, and prints an array or a union under its name', () => {
    const row = z.object({ a: z.string() }).meta({ id: 'TestRow' });
    const list: Endpoint = {
      id: 'testList',
      method: 'GET',
      path: '/rows',
      summary: 'Rows.',
      response: { statuses: { 200: 'rows' }, body: z.array(row) },
      problems: ['NOT_FOUND'],
    };
    const show: Endpoint = {
      ...list,
      id: 'testRow',
      path: '/rows/:a',
      response: { statuses: { 200: 'a row' }, body: row },
    };
    const { components } = openApiOf([list, show], options);
    const { schemas } = components as { schemas: Record<string, object> };
    expect(schemas.TestListResponse).toEqual({
      type: 'array',
      items: { $ref: '#/components/schemas/TestRow' },
    });
    expect(Object.keys(schemas)).toEqual(['Problem', 'TestListResponse', 'TestRow']);
  });
});
