// `can-ota tmu`: the daemon of the telematics unit, put together from backend, drivers and state directory.

import { outcomeExitCode } from '../campaign/outcome.ts';
import { systemClock } from '../core/clock.ts';
import { systemRandom } from '../core/random.ts';
import { DiskStorage } from '../core/storage.ts';
import { formatBytes, formatDuration } from '../core/units.ts';
import { BusSilence } from '../drivers/bus-silence.ts';
import { CgwApprover } from '../drivers/cgw-approver.ts';
import { UdsEcuDriver } from '../drivers/ecu-driver.ts';
import { HttpBackend } from '../tmu/http-backend.ts';
import { Tmu } from '../tmu/tmu.ts';
import type { TmuEvent } from '../tmu/tmu-event.ts';
import type { UdsClient } from '../uds/client.ts';
import { findEcu } from '../vehicle/load.ts';
import { type BusOptions, connectTester, openCommandBus } from './bus.ts';
import { announceReady, type CommonOptions, type Context, runCommand } from './context.ts';
import { runKeyCommand } from './flash.ts';
import { loadVehicle } from './vehicle-file.ts';

interface TmuOptions extends CommonOptions, BusOptions {
  readonly server: string;
  readonly vehicle?: string;
  readonly stateDir: string;
  readonly poll: number;
  readonly approvalTimeout: number;
  readonly once?: boolean;
}

export function tmu(options: TmuOptions): Promise<void> {
  return runCommand(options, async (context) => {
    const vehicle = await loadVehicle(options.vehicle, options.fd === true);
    const backend = new HttpBackend({
      server: options.server,
      vin: vehicle.vin,
      clock: systemClock,
    });
    const storage = await DiskStorage.open(options.stateDir);
    await using opened = await openCommandBus(options, context);
    const clients = new Map<string, UdsClient>();
    const clientFor = (name: string): UdsClient => {
      let client = clients.get(name);
      if (client === undefined) {
        client = connectTester(opened.bus, findEcu(vehicle, name), context);
        clients.set(name, client);
      }
      return client;
    };
    // One functional address silences all ECUs behind it, so the drivers share who asked for silence.
    const silence = new BusSilence();
    const { logger } = context;
    const { approval } = vehicle;
    const daemon = new Tmu({
      backend,
      storage,
      vehicle,
      clock: systemClock,
      random: systemRandom,
      logger,
      pollMs: options.poll * 1000,
      approvalTimeoutSeconds: options.approvalTimeout,
      driverFor: (name) =>
        new UdsEcuDriver({
          ecu: findEcu(vehicle, name),
          requester: clientFor(name),
          clock: systemClock,
          silence,
          runCommand: runKeyCommand,
          logger,
        }),
      ...(approval === undefined
        ? {}
        : {
            approver: new CgwApprover({
              ecu: findEcu(vehicle, approval.ecu),
              key: approval.key,
              requester: clientFor(approval.ecu),
              clock: systemClock,
              logger,
            }),
          }),
      events: (event) => report(event, context),
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
      await daemon.close();
      for (const client of clients.values()) client.close();
    }
  });
}

function report(event: TmuEvent, context: Context): void {
  context.emit(event);
  const text = eventText(event);
  if (text !== undefined) context.say(`${new Date(systemClock.wallMs()).toISOString()} ${text}`);
}

/** The daemon's log for people: what changed, nothing per block. */
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
    case 'approval':
      return `driver: ${event.status}${event.reason === undefined ? '' : `: ${event.reason}`}`;
    case 'retry':
      return `${event.doing} again in ${formatDuration(event.delayMs)} (${event.retry} of ${event.of}): ${event.reason}`;
    case 'warning':
      return `warning: ${event.text}`;
    case 'outcome':
      return `${event.outcome}${event.reason === undefined ? '' : `: ${event.reason}`}`;
    case 'next-poll':
      return undefined;
  }
}
