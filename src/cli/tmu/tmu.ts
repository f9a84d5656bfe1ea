// `can-ota tmu`: the daemon of the telematics unit, composed of backend, drivers and state directory.

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { sha256 } from '@noble/hashes/sha2.js';
import { outcomeExitCode } from '../../campaign/outcome.ts';
import { DEFAULT_CHUNK_BYTES } from '../../contract/chunked/protocol.ts';
import type { ParameterResult } from '../../contract/configuration.ts';
import { toHex } from '../../core/bytes.ts';
import { systemClock, systemUptimeMs } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { InputError } from '../../core/errors.ts';
import { packageRoot, packageVersion } from '../../core/package-root.ts';
import { systemRandom } from '../../core/random.ts';
import { DiskStorage } from '../../core/storage.ts';
import { formatBytes, formatDuration } from '../../core/units.ts';
import { type NetworkOptions, networkOf } from '../../link/network.ts';
import { type BusOptions, openTesterBus } from '../../onboard/bus.ts';
import { runKeyCommand } from '../../onboard/key-command.ts';
import { readChip, requireOwnChip } from '../../onboard/own-chip.ts';
import { createTmuOnBus, type SessionChoice } from '../../onboard/tmu-on-bus.ts';
import { loadVehicle } from '../../onboard/vehicle-file.ts';
import {
  benchIdentity,
  checkVin,
  readIdentity,
  withSecrets,
} from '../../onboard/vehicle-secrets.ts';
import type { TmuEvent } from '../../tmu/tmu-event.ts';
import type { OwnSoftware } from '../../tmu/uptane/vehicle-reports.ts';
import type { IdentityFile } from '../../trust/identity-file.ts';
import type { RoleVersions } from '../../trust/repository.ts';
import type { Suite } from '../../trust/sealed-session.ts';
import type { Vehicle } from '../../vehicle/schema.ts';
import { announceReady, type CommonOptions, runCommand } from '../context.ts';
import { requirePrivateWay } from '../suite.ts';
import { openTmuView, type TmuView } from './terminal-view.ts';

interface TmuOptions extends CommonOptions, BusOptions, NetworkOptions {
  readonly server: string;
  readonly vehicle?: string;
  readonly stateDir: string;
  readonly deviceFile?: string;
  readonly poll: number;
  readonly sync: number;
  readonly approvalTimeout: number;
  readonly once?: boolean;
  readonly images?: string;
  readonly checkinInterval: number;
  readonly benchKeys?: boolean;
  readonly transport: 'http' | 'chunked';
  readonly chunkSize?: number;
  readonly session: SessionChoice['proof'];
  readonly suite: Suite;
}

export function tmu(options: TmuOptions): Promise<void> {
  return runCommand(options, async (context) => {
    requirePrivateWay(options.suite, options.server);
    const benchKeys = options.benchKeys === true;
    const chunkBytes = chunkBytesOf(options);
    const described = await loadVehicle(options.vehicle, options.fd === true);
    const identity = benchKeys
      ? benchIdentity(described.vin, described.ecus)
      : await identityOf(options, described);
    const vehicle = withSecrets(described, identity, benchKeys);
    const storage = await DiskStorage.openOwn(options.stateDir);
    const software = await ownSoftware();
    const { transport } = await networkOf(options, options.server, options.images);
    await using opened = await openTesterBus(options, context, 'tmu', 'warn');
    const view = context.json ? undefined : openTmuView();
    const { tmu: daemon, close } = createTmuOnBus({
      backend: { server: options.server, images: options.images, transport },
      chunkBytes,
      session: { proof: options.session, suite: options.suite },
      vehicle,
      identity,
      benchKeys,
      bus: opened.bus,
      storage,
      clock: systemClock,
      random: systemRandom,
      logger: context.logger,
      software,
      uptimeMs: systemUptimeMs,
      runCommand: runKeyCommand,
      pollMs: options.poll * 1000,
      syncIntervalMs: options.sync * 1000,
      checkinIntervalMs: options.checkinInterval * 1000,
      approvalTimeoutSeconds: options.approvalTimeout,
      events: (event) => report(event, context, view),
    });
    context.say(`${vehicle.vin} on ${opened.why}, backend ${options.server}`);
    announceReady();
    try {
      if (options.once === true) {
        const { outcome } = await daemon.runOnce(context.signal);
        return outcome === 'INTERRUPTED' ? context.interruption() : outcomeExitCode(outcome);
      }
      await daemon.run(context.signal);
      return context.interruption();
    } finally {
      await close();
      view?.close();
    }
  });
}

/** Undefined: images come over plain HTTP. Throws InputError for options that do not fit together. */
function chunkBytesOf({ transport, chunkSize, benchKeys }: TmuOptions): number | undefined {
  if (transport === 'http') {
    if (chunkSize === undefined) return undefined;
    throw new InputError('--chunk-size', 'is for --transport chunked');
  }
  if (benchKeys !== true) return chunkSize ?? DEFAULT_CHUNK_BYTES;
  throw new InputError(
    '--transport',
    'chunked needs a device that the backend knows: provision the vehicle, and leave --bench-keys out',
  );
}

/** Throws OtherChipError, and InputError with advice when the vehicle was never provisioned. */
async function identityOf(
  { stateDir, deviceFile }: TmuOptions,
  vehicle: Vehicle,
): Promise<IdentityFile> {
  const file = path.join(stateDir, 'identity.json');
  if (!existsSync(file)) {
    throw new InputError(
      file,
      'does not exist: this vehicle has no identity; run "can-ota provision", or add --bench-keys on a bench',
    );
  }
  const identity = await readIdentity(file, '--state-dir');
  checkVin(identity, vehicle, file);
  requireOwnChip(identity, await readChip(stateDir, deviceFile), 'run "can-ota provision"');
  return identity;
}

/** Software in the TMU's own version report: its package, named by its manifest. */
async function ownSoftware(): Promise<OwnSoftware> {
  const manifest = await readFile(path.join(packageRoot, 'package.json'));
  return {
    name: `can-ota-${packageVersion}`,
    version: packageVersion,
    length: manifest.length,
    hashes: { sha256: toHex(sha256(manifest)) },
  };
}

function report(event: TmuEvent, context: Context, view: TmuView | undefined): void {
  context.emit(event);
  const text = eventText(event);
  const line =
    text === undefined ? undefined : `${new Date(systemClock.wallMs()).toISOString()} ${text}`;
  view?.show(event, line);
}

/** The daemon's log line of an event on a terminal: changes of state, not every block. */
function eventText(event: TmuEvent): string | undefined {
  switch (event.kind) {
    case 'state':
      return event.state;
    case 'plan':
      return `campaign ${event.campaign}: ${event.ecus
        .map(({ name, from, to, bytes }) => `${name} ${from} -> ${to} (${formatBytes(bytes)})`)
        .join(', ')}`;
    case 'download-progress':
      return event.received === event.total ? `${event.ecu}: ${event.file} downloaded` : undefined;
    case 'ecu-progress':
      return event.sent === event.total
        ? `${event.ecu}: ${formatBytes(event.total)} transferred`
        : undefined;
    case 'ecu-step': {
      if (event.status === 'begun') return undefined;
      const reason = event.reason === undefined ? '' : `: ${event.reason}`;
      return `${event.ecu}: ${event.step} ${event.status}${reason}`;
    }
    case 'approval': {
      const until = event.until === undefined ? '' : ` until the next ${event.until}`;
      const reason = event.reason === undefined ? '' : `: ${event.reason}`;
      return `driver (${event.phase}): ${event.status}${until}${reason}`;
    }
    case 'cancel':
      return `${event.by} cancels: ${event.accepted ? 'accepted' : 'refused'}, ${event.reason}`;
    case 'retry':
      return `${event.doing} again in ${formatDuration(event.delayMs)} (${event.retry} of ${event.of}): ${event.reason}`;
    case 'verified': {
      const text = (versions: RoleVersions): string =>
        Object.entries(versions)
          .map(([role, version]) => `${role} ${version}`)
          .join(', ');
      return `verified: director (${text(event.director)}), images (${text(event.images)})`;
    }
    case 'attack':
      return `${event.code}: ${event.where}: ${event.reason}`;
    case 'configuration':
      return `configuration ${event.version}: ${event.results.map(parameterText).join('; ')}`;
    case 'command': {
      const reason = event.reason === undefined ? '' : `: ${event.reason}`;
      const code = event.code === undefined ? '' : ` ${event.code}`;
      return `command ${event.id}: ${event.ecu} ${event.action} ${event.state}${code}${reason}`;
    }
    case 'telemetry':
      // Stored and uploaded samples are not logged; lost samples also come as a warning.
      return undefined;
    case 'contact':
      return event.status === 'found'
        ? 'services: the backend answers'
        : `services: the backend does not answer: ${event.reason ?? 'no reason given'}`;
    case 'warning':
      return `warning: ${event.text}`;
    case 'outcome':
      return `${event.outcome}${event.reason === undefined ? '' : `: ${event.reason}`}`;
    case 'next-poll':
      return undefined;
  }
}

function parameterText(result: ParameterResult): string {
  return result.status === 'rejected'
    ? `${result.parameter} rejected (${result.code}): ${result.reason}`
    : `${result.parameter} ${result.status}`;
}
