// Progress of `can-ota flash`: a bar on a terminal, lines for machines.

import { SingleBar } from 'cli-progress';
import type { EcuProgress } from '../../campaign/ports.ts';
import { systemClock } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { formatBytes, formatRate } from '../../core/units.ts';

/** A bar on a terminal, lines for machines, nothing in a plain log. */
export class FlashProgress {
  readonly #name: string;
  readonly #context: Context;
  readonly #bar: SingleBar | undefined;
  #started = false;
  #lastEmitMs = 0;

  constructor(name: string, context: Context) {
    this.#name = name;
    this.#context = context;
    this.#bar =
      process.stderr.isTTY === true && !context.json
        ? new SingleBar({
            format: `${name} {bar} {percentage} %  {sent} of {size}  {rate}`,
            barCompleteChar: '█',
            barIncompleteChar: '░',
            hideCursor: true,
            stream: process.stderr,
            clearOnComplete: true,
          })
        : undefined;
  }

  update({ sent, total }: EcuProgress): void {
    const nowMs = systemClock.nowMs();
    if (nowMs - this.#lastEmitMs > 200 || sent === total) {
      this.#lastEmitMs = nowMs;
      this.#context.emit({ kind: 'progress', ecu: this.#name, sent, total });
    }
    if (this.#bar === undefined) return;
    const payload = {
      sent: formatBytes(sent),
      size: formatBytes(total),
      rate: this.#rate(sent, nowMs),
    };
    if (!this.#started) {
      this.#started = true;
      this.#bar.start(total, sent, payload);
    } else this.#bar.update(sent, payload);
  }

  #first: { readonly sent: number; readonly atMs: number } | undefined;

  #rate(sent: number, nowMs: number): string {
    this.#first ??= { sent, atMs: nowMs };
    const seconds = (nowMs - this.#first.atMs) / 1000;
    return seconds > 0.2 ? formatRate((sent - this.#first.sent) / seconds) : '';
  }

  pause(): void {
    if (this.#started) this.#bar?.stop();
    this.#started = false;
    this.#first = undefined;
  }
}
