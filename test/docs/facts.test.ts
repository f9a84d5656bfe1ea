// Lists in the documentation that the code has, too: both say the same.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ECU_SERVICES } from '../../ecus/bootloader/diagnostics/services/all.ts';
import { parseLogLine } from '../../src/bus/candump-log.ts';
import { ExitCode } from '../../src/core/exit-code.ts';
import { defaultIsoTpConfig } from '../../src/isotp/config.ts';
import { INVARIANTS } from '../../src/sim/invariants/catalogue.ts';
import { PENDING_SHARE } from '../../src/uds/server-engine.ts';
import { DEFAULT_SERVER_TIMING } from '../../src/uds/server-types.ts';
import { Did, Routine } from '../../src/uds/sid.ts';
import { ecuSchema } from '../../src/vehicle/schema.ts';
import { commandNames } from '../support/parse-command.ts';
import { inlineCode, PAGES, pageText, readPage } from '../support/shell-blocks.ts';

const root = path.resolve(import.meta.dirname, '../..');

/** The first cells of the rows of the table below a heading. */
function firstCells(page: string, heading: string): string[] {
  const [, section = ''] = pageText(page).split(new RegExp(`^#+ ${heading}$`, 'm'));
  const [own = ''] = section.split(/^#+ /m);
  return [...own.matchAll(/^\| (.*?) \|/gm)].map(([, cell = '']) => cell).slice(1);
}

function hex(number: number): string {
  return number.toString(16).toUpperCase().padStart(4, '0');
}

describe('docs/protocols.md', () => {
  const page = 'docs/protocols.md';

  it('has our data identifiers, and no others', () => {
    const ours = Object.values(Did).filter((did) => did >= 0xfd00);
    expect(firstCells(page, 'Data identifiers')).toEqual(ours.map(hex));
    for (const did of Object.values(Did)) expect(pageText(page)).toContain(hex(did));
  });

  it('has the routines, and no others', () => {
    expect(firstCells(page, 'Routines').sort()).toEqual(Object.values(Routine).map(hex).sort());
  });

  it('has the services of an ECU, and no others', () => {
    const cells = firstCells(page, 'Services of an ECU of ours');
    const named = cells.flatMap((cell) => cell.match(/\b[0-9A-F]{2}\b(?= [A-Z]|, \d|$)/g) ?? []);
    const own = ['10', '28', '3E', '85'];
    const known = ECU_SERVICES.map(({ sid }) => sid.toString(16).toUpperCase());
    expect(named.sort()).toEqual([...own, ...known].sort());
  });

  it('has the times and sizes of the code', () => {
    const { timing } = ecuSchema.parse({
      name: 'EDT',
      hardwareId: 'EDT-HW-1',
      address: { mode: 'normal', request: 0x7e1, response: 0x7e9 },
    });
    const text = pageText(page);
    for (const [name, ms] of Object.entries(timing)) {
      const row = text.split('\n').find((line) => line.includes(name));
      const inSeconds = `${ms / 1000} s`;
      expect([name, row?.includes(`${ms} ms`) || row?.includes(inSeconds)]).toEqual([name, true]);
    }
    const { p2Ms, p2StarMs, s3Ms, pendingLimitMs } = DEFAULT_SERVER_TIMING;
    const times = firstCells(page, 'Times of UDS');
    expect(times).toHaveLength(7);
    expect(text).toMatch(
      new RegExp(`^\\| P2 \\|.*\\| ${p2Ms} ms; 78 after ${p2Ms * PENDING_SHARE} ms`, 'm'),
    );
    expect(text).toMatch(new RegExp(`^\\| P2\\* \\|.*\\| ${p2StarMs} ms \\|$`, 'm'));
    expect(text).toMatch(new RegExp(`^\\| S3 \\|.*\\| ${s3Ms} ms \\|$`, 'm'));
    expect(text).toContain(`| ${pendingLimitMs / 1000} s, then \`7F xx 10\` |`);
    const { nAsMs, wftMax, nBrMs, padding, maxMessageLength } = defaultIsoTpConfig;
    expect(text).toContain(`| N_As, N_Ar, N_Bs, N_Cr | ${nAsMs} ms |`);
    expect(text).toContain(`at most ${wftMax} in a row, ${nBrMs} ms apart`);
    expect(text).toContain(`| padding | ${padding?.toString(16).toUpperCase()};`);
    expect(maxMessageLength).toBe(1024 * 1024);
  });

  it('shows frames that a log of candump can have', () => {
    const traces = readPage(page).blocks.filter(({ info }) => info === 'text trace');
    expect(traces.length).toBeGreaterThanOrEqual(6);
    for (const line of traces.flatMap(({ text }) => text.trimEnd().split('\n'))) {
      if (line !== '...') expect([line, parseLogLine(line)]).toEqual([line, expect.anything()]);
    }
  });
});

it('docs/simulation.md has every invariant, and no others', () => {
  const names = firstCells('docs/simulation.md', 'The whole system under one seed');
  expect(names.flatMap(inlineCode).sort()).toEqual(INVARIANTS.map(({ name }) => name).sort());
});

describe('docs/commands.md', () => {
  const text = pageText('docs/commands.md');

  it('has every command', () => {
    const [table = ''] = text.split('Exit codes');
    const rows = [...table.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = '']) =>
      inlineCode(cell),
    );
    const first = new Set(rows.map((each) => each.split(' ')[0]));
    expect([...first].sort()).toEqual(commandNames().sort());
  });

  it('has every exit code', () => {
    for (const code of Object.values(ExitCode)) {
      const cell = code > 15 ? new RegExp(`\\b${code}\\b`) : new RegExp(`\\| ${code} \\|`);
      expect(text).toMatch(cell);
    }
  });
});

it('docs/http.md names paths that the contract has', () => {
  const form = (text: string): string => text.replaceAll(/\{\w+\}|<\w+>/g, '{}');
  const known = new Set(
    [...pageText('docs/http-paths.md').matchAll(/^## (\w+ \/\S*)$/gm)].map(([, each = '']) =>
      form(each),
    ),
  );
  const paths = new Set([...known].map((each) => each.split(' ')[1]));
  const named = inlineCode(readPage('docs/http.md').prose).flatMap((code) => {
    const [, method, target = ''] = /^(?:([A-Z]+) )?(\/[^?[\s]*)/.exec(code) ?? [];
    return target === '' ? [] : [{ code, method, target: form(target) }];
  });
  const wrong = named.filter(({ method, target }) =>
    method === undefined ? !paths.has(target) : !known.has(`${method} ${target}`),
  );
  expect(wrong.map(({ code }) => code)).toEqual([]);
  expect(named.length).toBeGreaterThan(40);
});

describe('names in sentences', () => {
  it.each(PAGES)('%s names files of the repository that exist', (page) => {
    const paths = inlineCode(readPage(page).prose).filter((code) =>
      /^(?:src|ecus|server|test|scripts|packaging|docs)\/[\w./-]+$/.test(code),
    );
    expect(paths.filter((each) => !existsSync(path.join(root, each)))).toEqual([]);
  });

  it.each(PAGES)('%s links a name of the code to a file that has it', (page) => {
    const links = [...readPage(page).prose.matchAll(/\[`(\w+)`\]\(([^)#\s]+\.ts)\)/g)];
    const wrong = links.filter(([, name = '', link = '']) => {
      const file = path.join(root, path.dirname(page), link);
      return !new RegExp(`\\b${name}\\b`).test(readFileSync(file, 'utf8'));
    });
    expect(wrong.map(([link]) => link)).toEqual([]);
  });
});

describe('pictures', () => {
  const folder = path.join(root, 'docs', 'pictures');
  const names = readdirSync(folder);

  it('are small, and each of them is shown with a text for people who do not see it', () => {
    const shown = PAGES.flatMap((page) =>
      [...readPage(page).prose.matchAll(/!\[([^\]]*)\]\(([^)\s]+)\)/g)].map(
        ([, alt = '', link = '']) => ({
          alt,
          file: path.posix.join(path.posix.dirname(page), link),
        }),
      ),
    );
    for (const { alt } of shown) expect(alt.length).toBeGreaterThan(20);
    expect(new Set(shown.map(({ file }) => path.posix.basename(file)))).toEqual(new Set(names));
    for (const name of names) {
      expect([name, statSync(path.join(folder, name)).size < 120_000]).toEqual([name, true]);
    }
  });
});
