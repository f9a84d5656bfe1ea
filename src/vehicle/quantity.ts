// Units in conditions: which can be compared with each other, and how to convert them.

/** Exponents of the base quantities; a missing one is 0. */
type Dimension = Readonly<Partial<Record<BaseQuantity, number>>>;
type BaseQuantity = 'voltage' | 'current' | 'speed' | 'length' | 'time' | 'temperature' | 'share';

/** A unit of measurement. `factor` converts it into the base unit (V, A, km/h, m, s, degC, %). */
export interface Unit {
  /** The text in expressions; `` for a plain number. */
  readonly text: string;
  readonly dimension: Dimension;
  readonly factor: number;
}

/** The unit of a plain number. */
export const NO_UNIT: Unit = { text: '', dimension: {}, factor: 1 };

// degC is a base unit: differences and limits need no other temperature scale.
const UNITS = {
  V: { dimension: { voltage: 1 }, factor: 1 },
  mV: { dimension: { voltage: 1 }, factor: 0.001 },
  A: { dimension: { current: 1 }, factor: 1 },
  'km/h': { dimension: { speed: 1 }, factor: 1 },
  'm/s': { dimension: { speed: 1 }, factor: 3.6 },
  km: { dimension: { length: 1 }, factor: 1000 },
  m: { dimension: { length: 1 }, factor: 1 },
  ms: { dimension: { time: 1 }, factor: 0.001 },
  s: { dimension: { time: 1 }, factor: 1 },
  min: { dimension: { time: 1 }, factor: 60 },
  h: { dimension: { time: 1 }, factor: 3600 },
  degC: { dimension: { temperature: 1 }, factor: 1 },
  '%': { dimension: { share: 1 }, factor: 1 },
} as const;

export type UnitName = keyof typeof UNITS;
export const UNIT_NAMES = Object.keys(UNITS) as [UnitName, ...UnitName[]];

export function isUnitName(text: string): text is UnitName {
  return Object.hasOwn(UNITS, text);
}

/** The unit of this name; without a name that of a plain number. */
export function unitOf(name: UnitName | undefined): Unit {
  return name === undefined ? NO_UNIT : { text: name, ...UNITS[name] };
}

export function isPlain(unit: Unit): boolean {
  return Object.keys(unit.dimension).length === 0;
}

export function sameDimension(a: Unit, b: Unit): boolean {
  const bases = new Set([...Object.keys(a.dimension), ...Object.keys(b.dimension)]);
  return [...bases].every(
    (base) => (a.dimension[base as BaseQuantity] ?? 0) === (b.dimension[base as BaseQuantity] ?? 0),
  );
}

/** The factor that converts a number in `from` to `to`; both must have the same dimension. */
export function conversion(from: Unit, to: Unit): number {
  return from.factor / to.factor;
}

/** The unit of a product (`sign` 1) or quotient (-1); it may have a factor without a dimension (min divided by s). */
export function combine(a: Unit, b: Unit, sign: 1 | -1): Unit {
  if (isPlain(b)) return a;
  if (isPlain(a) && sign === 1) return b;
  const dimension: Partial<Record<BaseQuantity, number>> = { ...a.dimension };
  for (const [key, exponent] of Object.entries(b.dimension)) {
    const base = key as BaseQuantity;
    const sum = (dimension[base] ?? 0) + sign * exponent;
    if (sum === 0) delete dimension[base];
    else dimension[base] = sum;
  }
  const factor = a.factor * b.factor ** sign;
  const plain = Object.keys(dimension).length === 0;
  const text = plain ? '' : `${a.text === '' ? '1' : a.text}${sign === 1 ? '*' : '/'}${b.text}`;
  return { text, dimension, factor };
}
