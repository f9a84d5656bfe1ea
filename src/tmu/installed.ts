// `downloaded_sha.txt`: what each ECU runs, one line `<sha256>  <ECU> <version>` as sha256sum writes it.

import type { Installed } from '../campaign/decide.ts';
import { DurableFile, type FileCodec } from '../core/durable-file.ts';
import { ECU_NAME, SHA256_HEX } from '../core/names.ts';
import type { Storage } from '../core/storage.ts';

const FILE = 'downloaded_sha.txt';
const LINE = new RegExp(`^(${SHA256_HEX}) {2}(${ECU_NAME}) (\\S{1,64})$`);

export type KnownInstalled = Installed & { readonly sha256: string };

/** Invalid lines are left out: the ECU itself is asked then. */
export function parseInstalled(text: string): Map<string, KnownInstalled> {
  const installed = new Map<string, KnownInstalled>();
  for (const line of text.split('\n')) {
    const match = LINE.exec(line.trimEnd());
    if (match === null) continue;
    const [, sha256 = '', ecu = '', version = ''] = match;
    installed.set(ecu, { sha256, version });
  }
  return installed;
}

export function formatInstalled(installed: ReadonlyMap<string, KnownInstalled>): string {
  return [...installed]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([ecu, { sha256, version }]) => `${sha256}  ${ecu} ${version}\n`)
    .join('');
}

const codec: FileCodec<ReadonlyMap<string, KnownInstalled>> = {
  encode: (installed) => new TextEncoder().encode(formatInstalled(installed)),
  decode: (bytes) => ({ value: parseInstalled(new TextDecoder().decode(bytes)) }),
};

export class InstalledFile {
  readonly #file: DurableFile<ReadonlyMap<string, KnownInstalled>>;

  private constructor(file: DurableFile<ReadonlyMap<string, KnownInstalled>>) {
    this.#file = file;
  }

  static async open(storage: Storage): Promise<InstalledFile> {
    return new InstalledFile((await DurableFile.open(storage, FILE, codec, new Map())).file);
  }

  get content(): ReadonlyMap<string, KnownInstalled> {
    return this.#file.content;
  }

  /** Writes only changes; an undefined digest removes the ECU's line. */
  async set(
    changes: readonly { ecu: string; sha256: string | undefined; version: string }[],
  ): Promise<void> {
    await this.#file.update((content) => {
      const next = new Map(content);
      for (const { ecu, sha256, version } of changes) {
        if (sha256 === undefined || !LINE.test(`${sha256}  ${ecu} ${version}`)) next.delete(ecu);
        else next.set(ecu, { sha256, version });
      }
      return formatInstalled(next) === formatInstalled(content) ? content : next;
    });
  }
}
