// The remote configuration of this vehicle (`config.json`): values in force, version checked last, pending report.

import { z } from 'zod';
import {
  type Configuration,
  DEFAULT_CONFIGURATION,
  PARAMETER_NAMES,
  type WantedParameters,
} from '../../contract/configuration.ts';
import {
  type ConfigurationReport,
  configurationReport,
  type SyncAnswer,
  type SyncRequest,
} from '../../contract/sync.ts';
import type { Clock } from '../../core/clock.ts';
import { DurableFile, jsonFile, readFileOnce } from '../../core/durable-file.ts';
import type { Logger } from '../../core/logger.ts';
import type { Storage } from '../../core/storage.ts';
import type { TmuListener } from '../tmu-event.ts';
import { checkConfiguration, checkHere, type VehicleLimits } from './configuration-check.ts';

export const CONFIGURATION_FILE = 'config.json';

const fileSchema = z.object({
  format: z.literal(1),
  /** Version checked last, 0 for none. */
  version: z.number().int().min(0),
  inForce: z.record(z.string(), z.json()),
  /** Kept until the backend has acknowledged it. */
  report: configurationReport.nullable(),
});

/** `stillAllowed` checks each value against its schema and this vehicle. */
type Kept = Omit<z.output<typeof fileSchema>, 'inForce'> & { readonly inForce: Configuration };
const codec = jsonFile(
  fileSchema.transform(
    (file): Kept => ({
      ...file,
      inForce: { ...DEFAULT_CONFIGURATION, ...(file.inForce as object) },
    }),
  ),
);

export interface VehicleConfigurationStoreOptions {
  readonly storage: Storage;
  readonly vehicle: VehicleLimits;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly emit: TmuListener;
  /** Called when the values in force have changed, or there is something to report. */
  readonly onChange?: () => void;
}

export class VehicleConfigurationStore {
  readonly #options: VehicleConfigurationStoreOptions;
  readonly #file: DurableFile<Kept>;

  private constructor(options: VehicleConfigurationStoreOptions, kept: Kept) {
    this.#options = options;
    this.#file = new DurableFile(options.storage, CONFIGURATION_FILE, codec, kept);
  }

  /**
   * A damaged file is replaced by the defaults, and version 0 makes the backend send its configuration once more. A
   * value that this vehicle does not allow any more (its file or its software has changed) goes back to its default.
   * Throws StorageError.
   */
  static async open(options: VehicleConfigurationStoreOptions): Promise<VehicleConfigurationStore> {
    const { storage, logger } = options;
    const read = await readFileOnce(storage, CONFIGURATION_FILE, codec);
    if (read.state === 'known') {
      return new VehicleConfigurationStore(options, stillAllowed(read.content, options));
    }
    if (read.state !== 'missing') {
      const text = `${storage.location}/${CONFIGURATION_FILE} was unreadable: the defaults are in force until the backend has sent its configuration again`;
      logger.warn({}, text);
      options.emit({ kind: 'warning', text });
    }
    const none: Kept = { format: 1, version: 0, inForce: DEFAULT_CONFIGURATION, report: null };
    return new VehicleConfigurationStore(options, none);
  }

  get inForce(): Configuration {
    return this.#kept.inForce;
  }

  /** Version checked last, 0 for none. */
  get version(): number {
    return this.#kept.version;
  }

  /** The part for the next contact. */
  tell(): SyncRequest['configuration'] {
    const { version, report } = this.#kept;
    return { version, ...(report === null ? {} : { report }) };
  }

  /** Handles the backend's answer. On StorageError nothing has changed. */
  async take({ wanted, acknowledged }: SyncAnswer['configuration']): Promise<void> {
    if (this.#kept.report !== null && this.#kept.report.version === acknowledged) {
      await this.#file.update((kept) => ({ ...kept, report: null }));
    }
    if (wanted === null || wanted.version === this.#kept.version) return;
    await this.#check(wanted.version, wanted.parameters);
  }

  /** Durable before it is in force and before it is reported. */
  async #check(version: number, parameters: WantedParameters): Promise<void> {
    const { clock, vehicle, emit, onChange } = this.#options;
    const { results, inForce } = checkConfiguration(parameters, this.#kept.inForce, vehicle);
    const report: ConfigurationReport = {
      version,
      at: new Date(clock.wallMs()).toISOString(),
      results: [...results],
      inForce: z.record(z.string(), z.json()).parse(inForce),
    };
    await this.#file.update(() => ({ format: 1, version, inForce, report }));
    emit({ kind: 'configuration', version, results });
    onChange?.();
  }

  get #kept(): Kept {
    return this.#file.content;
  }
}

/** Version checked last, for programs that read the folder beside the daemon; undefined for an invalid file. */
export function versionIn(bytes: Uint8Array): number | undefined {
  const decoded = codec.decode(bytes);
  return 'value' in decoded ? decoded.value.version : undefined;
}

function stillAllowed(kept: Kept, options: VehicleConfigurationStoreOptions): Kept {
  const inForce: Record<string, unknown> = {};
  for (const name of PARAMETER_NAMES) {
    const checked = checkHere(name, kept.inForce[name], options.vehicle);
    if (checked.ok) {
      inForce[name] = checked.value;
    } else {
      inForce[name] = DEFAULT_CONFIGURATION[name];
      const text = `the configured ${name} is not possible any more and goes back to its default: ${checked.reason}`;
      options.emit({ kind: 'warning', text });
    }
  }
  return { ...kept, inForce: inForce as Configuration };
}
