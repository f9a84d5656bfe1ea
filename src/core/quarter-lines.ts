// Progress of transfers where no bar can be drawn: a line at each quarter.

/** Percent of a quarter. */
const QUARTER = 25;

export class QuarterLines {
  readonly #last = new Map<string, number>();

  /** 0, 25, 50, 75 or 100 when the transfer comes to it or goes back to it; undefined between them. */
  update(label: string, done: number, total: number): number | undefined {
    const share = total === 0 ? 1 : done / total;
    const percent = Math.floor((share * 100) / QUARTER) * QUARTER;
    if (this.#last.get(label) === percent) return undefined;
    this.#last.set(label, percent);
    return percent;
  }
}
