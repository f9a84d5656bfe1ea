// What the ECUs say that they run, and what the daemon assumes between two answers.

import type { Installed } from '../campaign/decide.ts';
import { digestOf } from '../campaign/plan.ts';
import type { CampaignReport, DriverFailure, EcuDriver, EcuIdentity } from '../campaign/ports.ts';
import { defined } from '../core/optional.ts';
import { UNKNOWN_VERSION } from '../core/version-order.ts';
import type { InstalledFile } from './installed.ts';

export type Identified =
  | { readonly ok: true; readonly identity: EcuIdentity }
  | { readonly ok: false; readonly failure: DriverFailure };

export class Inventory {
  readonly #file: InstalledFile;
  readonly #driverFor: (ecu: string) => EcuDriver;
  /** Answers of ECUs to this process. */
  readonly #seen = new Map<string, EcuIdentity>();

  constructor(file: InstalledFile, driverFor: (ecu: string) => EcuDriver) {
    this.#file = file;
    this.#driverFor = driverFor;
  }

  /** Whether this process has asked the ECU (or tried to) since the last `forget`. */
  knows(ecu: string): boolean {
    return this.#seen.has(ecu);
  }

  get identities(): ReadonlyMap<string, EcuIdentity> {
    return this.#seen;
  }

  /** What each ECU is assumed to run: its own answer where there is one, otherwise the file. */
  get installed(): ReadonlyMap<string, Installed> {
    const installed = new Map<string, Installed>(this.#file.content);
    for (const [ecu, { version }] of this.#seen) {
      if (!installed.has(ecu)) {
        installed.set(ecu, { sha256: undefined, version: version ?? UNKNOWN_VERSION });
      }
    }
    return installed;
  }

  /** Asks one ECU and updates the file with its answer. Throws StorageError. */
  async ask(ecu: string, signal: AbortSignal): Promise<Identified> {
    const answer = await this.#driverFor(ecu).identify(signal);
    if (!answer.ok) return { ok: false, failure: answer };
    const identity = answer.value;
    this.#seen.set(ecu, identity);
    const { sha256, version } = identity;
    const believed = this.#file.content.get(ecu);
    if (sha256 !== undefined) {
      await this.#file.set([{ ecu, sha256, version: version ?? UNKNOWN_VERSION }]);
    } else if (believed !== undefined && believed.version !== version) {
      // The ECU cannot report its digest, but its version is not the one that we installed.
      await this.#file.set([{ ecu, sha256: undefined, version: '' }]);
    }
    return { ok: true, identity };
  }

  /** The ECU was changed or may have been: its earlier answer does not count any more. */
  forget(ecu: string): void {
    this.#seen.delete(ecu);
  }

  /** The report for the backend, with a digest that tells whether it is new. */
  report(
    vin: string,
    outcome: string,
  ): { readonly digest: string; readonly report: CampaignReport } {
    const ecus = [...this.#seen]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, identity]) => ({
        name,
        version: identity.version ?? UNKNOWN_VERSION,
        ...defined({ hardwareId: identity.hardwareId, sha256: identity.sha256 }),
      }));
    return { digest: digestOf(ecus), report: { vin, outcome, ecus } };
  }
}
