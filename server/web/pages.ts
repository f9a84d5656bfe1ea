// The pages: eta templates with escaping on, and the few ways in which they show values.

import { Eta } from 'eta/core';
import type { Person } from '../platform/auth/identity.ts';
import type { WebFiles } from './assets.ts';

export type PageName = 'login' | 'home' | 'vehicles' | 'devices' | 'audit' | 'error';

export interface PageData {
  readonly title: string;
  readonly person: Person | undefined;
  /** Path in front of every address, empty or like `/ota`. */
  readonly base: string;
  readonly [name: string]: unknown;
}

export class Pages {
  readonly #web: WebFiles;
  readonly #helpers: Record<string, unknown>;
  #compiled: Eta | undefined;

  constructor(web: WebFiles) {
    const { files, version } = web;
    this.#web = web;
    this.#helpers = {
      version,
      asset: (name: string) => `/static/${name}?v=${files.get(name)?.hash ?? ''}`,
      bytes: formatBytes,
      time: formatTime,
      count: (value: number) => value.toLocaleString('en'),
      tone: outcomeTone,
      stateTone,
      codeTone,
      serviceTone,
      value: formatValue,
      quantity: (value: number) => String(Number(value.toFixed(3))),
      isMixed,
    };
  }

  render(page: PageName, data: PageData): string {
    return this.#eta.render(`./${page}`, { ...this.#helpers, ...data });
  }

  /** Compiled when the first page is asked for: most servers answer vehicles all day. */
  get #eta(): Eta {
    if (this.#compiled === undefined) {
      this.#compiled = new Eta({ cache: true, autoEscape: true });
      for (const [name, text] of this.#web.templates)
        this.#compiled.loadTemplate(`./${name}`, text);
    }
    return this.#compiled;
  }
}

/** `1,234 bytes`, `12.3 KiB`, `4.5 MiB`. */
function formatBytes(size: number): string {
  if (size < 10_000) return `${size.toLocaleString('en')} bytes`;
  const units = ['KiB', 'MiB', 'GiB'];
  let value = size / 1024;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const text = value.toFixed(value < 100 ? 1 : 0).replace(/\.0$/, '');
  return `${text} ${units[unit]}`;
}

/** `2026-01-31 12:34:56`, UTC. */
function formatTime(iso: string): string {
  return iso.slice(0, 19).replace('T', ' ');
}

/** How a campaign's outcome is coloured. */
function outcomeTone(outcome: string): 'good' | 'calm' | 'bad' {
  if (outcome === 'SUCCESS') return 'good';
  return ['UP_TO_DATE', 'DEFERRED', 'USER_REJECTED', 'INTERRUPTED'].includes(outcome)
    ? 'calm'
    : 'bad';
}

/** How the code beside an outcome is coloured: attacks and faults stand out, decisions of people do not. */
function codeTone(code: string): 'good' | 'calm' | 'bad' {
  if (code === 'RECOVERED') return 'good';
  return ['CANCELLED', 'CONDITION', 'DENIED', 'LATER', 'TIMED_OUT', 'WITHDRAWN'].includes(code)
    ? 'calm'
    : 'bad';
}

/** The rollback has failed: the vehicle runs old and new software side by side, and the page must make that plain. */
function isMixed(outcome: string): boolean {
  return outcome === 'ROLLBACK_FAILED' || outcome === 'safe-state';
}

/** How the state of a vehicle or device is coloured. */
function stateTone(state: string): 'good' | 'calm' | 'bad' {
  if (state === 'up-to-date' || state === 'active') return 'good';
  return state === 'needs-attention' || state === 'revoked' ? 'bad' : 'calm';
}

/** How the state of a command or of a parameter is coloured. */
function serviceTone(state: string): 'good' | 'calm' | 'bad' {
  if (state === 'completed' || state === 'set') return 'good';
  return ['failed', 'expired', 'rejected', 'differs'].includes(state) ? 'bad' : 'calm';
}

/** Any JSON, with a space where a line may break. */
function formatValue(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value).replaceAll(',"', ', "');
}
