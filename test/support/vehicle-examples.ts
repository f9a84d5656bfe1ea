// The examples of docs/vehicle-file.md as whole vehicle files, and the fields that they show.

import { parse } from 'yaml';
import { homeOfExample } from '../../src/vehicle/field-examples.ts';

type Examples = ReadonlyMap<string, readonly string[]>;
type Fields = Readonly<Record<string, unknown>>;

/** One block of the page in the vehicle file of its first block: its fields replace those of the file or of the last ECU. */
export interface ExampleVehicle {
  /** Its section and its number there, for messages. */
  readonly label: string;
  /** The whole file in JSON, which is YAML too. */
  readonly text: string;
}

export function exampleVehicles(examples: Examples): ExampleVehicle[] {
  const file = parse(examples.get('')?.[0] ?? '') as Fields & { readonly ecus: readonly Fields[] };
  return blocks(examples).map(([section, block, number]) => {
    const fields = parse(block) as Fields;
    const vehicle = section.startsWith('ecus[].')
      ? { ...file, ecus: [...file.ecus.slice(0, -1), { ...file.ecus.at(-1), ...fields }] }
      : { ...file, ...fields };
    return { label: `${section || 'The file'}, block ${number}`, text: JSON.stringify(vehicle) };
  });
}

/** A sentence for each of these fields that no block of its section shows. */
export function fieldsWithoutExample(paths: readonly string[], examples: Examples): string[] {
  const known = new Set(paths);
  const shown = new Set(
    blocks(examples).flatMap(([section, block]) => {
      const isOfEcu = section.startsWith('ecus[].');
      return pathsOf(parse(block), isOfEcu ? 'ecus[]' : '', known).map(
        (path) => `${section} ${path}`,
      );
    }),
  );
  return paths
    .filter((path) => !shown.has(`${homeOfExample(path, examples)} ${path}`))
    .map((path) => {
      const home = homeOfExample(path, examples);
      return (
        `${path} has no example: add it to a block of '${home}' in src/vehicle/field-examples.ts, ` +
        'or give its section a block there, then run npm run schema'
      );
    });
}

function blocks(examples: Examples): [section: string, block: string, number: number][] {
  return [...examples].flatMap(([section, texts]) =>
    texts.map((text, at): [string, string, number] => [section, text, at + 1]),
  );
}

/** Paths of all fields of a value, in the form of `fieldPaths`. */
function pathsOf(value: unknown, path: string, known: ReadonlySet<string>): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const inner: [string, unknown][] = Array.isArray(value)
    ? value.map((entry): [string, unknown] => [`${path}[]`, entry])
    : Object.entries(value).map(([name, field]) => {
        const place = path === '' ? name : `${path}.${name}`;
        return [known.has(place) ? place : `${path}.NAME`, field];
      });
  return inner.flatMap(([place, field]) => [place, ...pathsOf(field, place, known)]);
}
