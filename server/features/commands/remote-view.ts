// What the page of a vehicle shows of its remote features: configuration, commands, measured data.

import type { Database } from '../../platform/db/database.ts';
import type { ConfigurationStore } from '../configuration/store.ts';
import type { DeviceStore } from '../registry/store.ts';
import type { TelemetryStore } from '../telemetry/store.ts';
import type { CommandStore } from './store.ts';
import { configurationView } from './views.ts';

const COMMANDS_SHOWN = 20;

export interface RemoteViewParts {
  readonly db: Pick<Database, 'newId'>;
  readonly devices: DeviceStore;
  readonly configurations: ConfigurationStore;
  readonly commands: CommandStore;
  readonly telemetry: TelemetryStore;
}

export class RemoteView {
  readonly #parts: RemoteViewParts;

  constructor(parts: RemoteViewParts) {
    this.#parts = parts;
  }

  /** Undefined for a vehicle without a registered device, which has no remote features. */
  async of(vin: string): Promise<Record<string, unknown> | undefined> {
    const { db, devices, configurations, commands, telemetry } = this.#parts;
    if ((await devices.ofVehicle(vin)).length === 0) return undefined;
    return {
      configuration: await configurationView(configurations, vin),
      commands: await commands.list(vin, { limit: COMMANDS_SHOWN }),
      catalogue: (await commands.catalogue(vin))?.catalogue,
      counts: await telemetry.counts(vin),
      samples: await telemetry.latest(vin),
      /** For the next order: sending the form twice makes one command. */
      key: db.newId(),
    };
  }
}
