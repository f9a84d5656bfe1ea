// Programs the first image of an ECU of another make by a campaign of this one ECU, like `can-ota flash`.

import type { DriverHooks, EcuDriver } from '../campaign/ports.ts';
import { runSingle } from '../campaign/single.ts';
import type { Random } from '../core/random.ts';
import type { KeyCommand } from '../vehicle/security/algorithm.ts';
import { UdsEcuDriver } from './ecu-driver.ts';
import { type Exchanged, type ExchangeOptions, failure } from './exchange.ts';
import type { FirstImage, FirstImageReport } from './first-image.ts';

export interface ForeignOptions extends ExchangeOptions {
  readonly random: Random;
  /** Runs the command of `security.algorithm: command`. */
  readonly runCommand?: KeyCommand;
  /** The driver of an ECU that does not speak UDS; missing: the one over UDS. */
  readonly driver?: EcuDriver | undefined;
}

/** An ECU that reports neither version nor digest counts as running the image that its memory check has accepted. */
export async function programForeignImage(
  options: ForeignOptions,
  { image, version }: FirstImage,
  hooks: DriverHooks = {},
): Promise<Exchanged<FirstImageReport>> {
  const { ecu, clock, random } = options;
  const done = await runSingle({
    driver: options.driver ?? new UdsEcuDriver(options),
    ecu,
    hasOneBank: ecu.programming.activation === 'reset',
    target: { version, image },
    clock,
    random,
    ...hooks,
  });
  if (!done.ok) return failure(done.code, done.reason);
  const { heldAlready, report, bytes, seconds } = done;
  return {
    ok: true,
    value: {
      status: heldAlready ? 'kept' : 'programmed',
      version: report.version ?? version,
      sha256: report.sha256 ?? image.sha256,
      bytes,
      transferMs: seconds * 1000,
    },
  };
}
