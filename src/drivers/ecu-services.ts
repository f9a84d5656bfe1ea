// Reads data identifiers and runs commands over UDS for the remote features, as the vehicle file describes them.

import {
  type ArgumentDescription,
  type Catalogue,
  type CommandOrder,
  checkCommand,
} from '../contract/command.ts';
import type { EcuServices, ProbeResult, ReadResult, RunResult } from '../contract/ecu-services.ts';
import type { Clock } from '../core/clock.ts';
import { describeError } from '../core/errors.ts';
import type { Logger } from '../core/logger.ts';
import { present } from '../core/present.ts';
import type { UdsRequester } from '../uds/reply.ts';
import { actOf, encodeArguments } from '../vehicle/commands.ts';
import type { EcuCommand, Vehicle, VehicleEcu } from '../vehicle/schema.ts';
import type { KeyCommand } from '../vehicle/security/algorithm.ts';
import type { EcuOrder } from './ecu-services-evidence.ts';
import { DidReader, readingOf } from './ecu-services-read.ts';
import { CommandRunner } from './ecu-services-run.ts';
import { Exchange } from './exchange.ts';
import type { OrderAuthority } from './secured-requester.ts';
import { SessionRest } from './session-rest.ts';

export interface UdsEcuServicesOptions {
  readonly vehicle: Vehicle;
  /** The requester of an ECU by name; shared with its driver, so that requests take turns. */
  readonly requesterFor: (ecu: string) => UdsRequester;
  /** Authority with which an ECU of ours takes orders; see `ExchangeOptions`. */
  readonly authorityFor?: (ecu: string) => OrderAuthority | undefined;
  readonly clock: Clock;
  readonly logger?: Logger;
  /** Runs the command of `security.algorithm: command`. */
  readonly runCommand?: KeyCommand;
  /** Whether a campaign holds a session of this ECU, which need not belong to the campaign. */
  readonly isSilenced?: (ecu: string) => boolean;
}

/** Identification DIDs of every ECU (ISO 14229-1 table C.1); a vehicle file need not list them. */
const IDENTIFICATION = { first: 0xf180, last: 0xf19f } as const;

interface Access {
  readonly ecu: VehicleEcu;
  readonly reader: DidReader;
  readonly runner: CommandRunner;
  readonly rest: SessionRest;
}

type Fault = { readonly code: string; readonly reason: string };

/**
 * `read` is possible at any time. A command changes the session of its ECU, so it must not run while a campaign
 * programs that ECU: it would end the programming session.
 */
export class UdsEcuServices implements EcuServices {
  readonly catalogue: Catalogue;
  readonly #options: UdsEcuServicesOptions;
  readonly #accesses = new Map<string, Access>();

  constructor(options: UdsEcuServicesOptions) {
    this.#options = options;
    this.catalogue = catalogueOf(options.vehicle);
  }

  /**
   * Whether a DID may be read. A file that describes data, signals or commands of an ECU describes all readable DIDs.
   */
  knows(did: string): 'known' | 'unknown-ecu' | 'unknown-did' {
    const [name, digits = ''] = did.split('.', 2);
    const { vehicle } = this.#options;
    const ecu = vehicle.ecus.find((each) => each.name === name);
    if (ecu === undefined) return 'unknown-ecu';
    const number = Number.parseInt(digits, 16);
    if (number >= IDENTIFICATION.first && number <= IDENTIFICATION.last) return 'known';
    const listed = listedDids(vehicle, ecu);
    return listed.size === 0 || listed.has(number) ? 'known' : 'unknown-did';
  }

  /**
   * Reads DIDs. Refused DIDs are missing in the readings; when the ECU refuses all of them, the result is a failure.
   */
  async read(name: string, dids: readonly number[], signal: AbortSignal): Promise<ReadResult> {
    const access = this.#access(name);
    if (access === undefined) return { ok: false, ...unknownEcu(name, this.#options.vehicle) };
    const { ecu, reader, rest } = access;
    if (!(await rest.mayAsk())) return { ok: false, code: 'PRECONDITION', reason: restText(name) };
    const read = await reader.several(dids, signal);
    if (!read.ok) return { ok: false, code: read.code, reason: read.reason };
    const { data, refused } = read.value;
    if (data.size === 0 && refused !== undefined) {
      return { ok: false, code: refused.code, reason: refused.reason };
    }
    const readings = dids.flatMap((did) => {
      const raw = data.get(did);
      return raw === undefined ? [] : [readingOf(ecu, did, raw)];
    });
    return { ok: true, readings };
  }

  async probe(order: CommandOrder, signal: AbortSignal): Promise<ProbeResult> {
    const found = this.#find(order);
    if ('reason' in found) return { kind: 'failed', ...found };
    return found.runner.probe(found.order, signal);
  }

  /** Runs a command and leaves the ECU in the default session, unless an output is held. */
  async run(order: CommandOrder, signal: AbortSignal): Promise<RunResult> {
    const found = this.#find(order);
    if ('reason' in found) return { kind: 'not-begun', ...found };
    return found.runner.run(found.order, signal);
  }

  async hasRun(
    order: CommandOrder,
    mark: string,
    signal: AbortSignal,
  ): Promise<'yes' | 'no' | 'unknown'> {
    const found = this.#find(order);
    if ('reason' in found) return 'unknown';
    return found.runner.hasRun(found.order, mark, signal);
  }

  #find(given: CommandOrder): { runner: CommandRunner; order: EcuOrder } | Fault {
    const checked = checkCommand(this.catalogue, given);
    if (!checked.ok) return { code: checked.code, reason: checked.reason };
    const { ecu, runner } = present(this.#access(given.ecu), `access to ${given.ecu}`);
    const command = present(ecu.commands[given.action], `command ${given.action}`);
    try {
      const { action, arguments: args } = given;
      const bytes = encodeArguments(command, args);
      return { runner, order: { action, command, act: actOf(command), arguments: args, bytes } };
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return { code: 'BAD_ARGUMENT', reason: describeError(error) };
    }
  }

  #access(name: string): Access | undefined {
    const made = this.#accesses.get(name);
    if (made !== undefined) return made;
    const { vehicle, requesterFor, clock, runCommand, logger } = this.#options;
    const ecu = vehicle.ecus.find((each) => each.name === name);
    if (ecu === undefined) return undefined;
    const exchange = new Exchange({
      ...{ ecu, requester: requesterFor(name), clock },
      authority: this.#options.authorityFor?.(name),
    });
    const reader = new DidReader(exchange);
    const runner = new CommandRunner({ exchange, reader, runCommand, logger });
    const rest = new SessionRest({
      ...{ exchange, clock },
      isOurs: () => runner.holdsSession || this.#options.isSilenced?.(name) === true,
    });
    const access = { ecu, reader, runner, rest };
    this.#accesses.set(name, access);
    return access;
  }
}

function restText(name: string): string {
  return `${name} is not in its default session, and no command holds it there: it is left alone until S3 ends that session`;
}

function unknownEcu(name: string, vehicle: Vehicle): Fault {
  const known = vehicle.ecus.map((ecu) => ecu.name).join(', ');
  return { code: 'UNKNOWN_ECU', reason: `${name} is not in the vehicle file, which has ${known}` };
}

function listedDids(vehicle: Vehicle, ecu: VehicleEcu): ReadonlySet<number> {
  const acts = Object.values(ecu.commands).map(actOf);
  return new Set([
    ...Object.values(ecu.data).map(({ did }) => did),
    ...Object.values(vehicle.signals).flatMap(({ ecu: of, did }) => (of === ecu.name ? [did] : [])),
    ...acts.flatMap((act) => (act.kind === 'routine' ? [] : [act.did])),
  ]);
}

/** The catalogue of the ECUs that have commands. */
function catalogueOf(vehicle: Vehicle): Catalogue {
  return Object.fromEntries(
    vehicle.ecus
      .filter(({ commands }) => Object.keys(commands).length > 0)
      .map(({ name, commands }) => [
        name,
        Object.fromEntries(
          Object.entries(commands).map(([action, command]) => [
            action,
            { title: command.title, arguments: argumentsOf(command) },
          ]),
        ),
      ]),
  );
}

function argumentsOf(command: EcuCommand): Record<string, ArgumentDescription> {
  return Object.fromEntries(
    Object.entries(command.arguments).map(([name, { values, unit = '', min, max }]) => [
      name,
      values === undefined
        ? {
            type: 'number',
            unit,
            min: present(min, `min of ${name}`),
            max: present(max, `max of ${name}`),
          }
        : { type: 'choice', choices: Object.values(values) },
    ]),
  );
}
