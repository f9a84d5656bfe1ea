// The common parts of every bench: ECUs on the bus, a key ceremony, a backend that can restart, and a provisioned vehicle.

import path from 'node:path';
import type { Readable } from 'node:stream';
import type { CanBus } from '../bus/can-bus.ts';
import { toHex } from '../core/bytes.ts';
import type { Context } from '../core/context.ts';
import { systemRandom } from '../core/random.ts';
import type { BusOptions } from '../onboard/bus.ts';
import type { Vehicle } from '../vehicle/schema.ts';
import type { Child, ChildOptions, Children } from './children.ts';
import { BenchFactory, benchToken, provisionBench, type ReleaseImage } from './factory.ts';
import { firmware, STANDARD } from './images.ts';
import type { BenchView } from './view.ts';

export interface BenchWorldOptions extends BusOptions {
  readonly vehicle: string;
  readonly approve: 'ask' | 'yes' | 'no';
  readonly approvalTimeout: number;
  readonly transport: 'http' | 'chunked';
}

export interface BenchWorldParts {
  readonly options: BenchWorldOptions;
  readonly context: Context;
  readonly vehicle: Vehicle;
  /** Folder of the bench. */
  readonly folder: string;
  readonly bus: CanBus;
  readonly children: Children;
  readonly view: BenchView;
  /** What the driver types; undefined where the answers are automatic. */
  readonly driver: Readable | undefined;
  readonly signal: AbortSignal;
}

export interface BenchTokens {
  readonly factory: string;
  readonly release: string;
  readonly operator: string;
}

/** The images that are released before the vehicle drives. */
export interface BenchReleases {
  readonly images: readonly ReleaseImage[];
  readonly encrypted: ReadonlySet<string>;
}

export class BenchWorld {
  readonly #parts: BenchWorldParts;
  /** Options of every process that is on the bus. */
  readonly shared: readonly string[];

  constructor(parts: BenchWorldParts) {
    this.#parts = parts;
    const { bus, options } = parts;
    const spec = bus.kind === 'socketcan' ? bus.name : (options.bus ?? `local:${bus.name}`);
    this.shared = [
      ...['--bus', spec, '--vehicle', options.vehicle],
      ...(options.fd === true ? ['--fd'] : []),
    ];
  }

  /** The TMU's state directory. */
  get stateDir(): string {
    return path.join(this.#parts.folder, 'tmu');
  }

  get serverData(): string {
    return path.join(this.#parts.folder, 'server');
  }

  /** Starts ECUs and backend, releases the images, and provisions the vehicle. */
  async prepare(
    releases: BenchReleases,
    server: ChildOptions = {},
  ): Promise<{ readonly url: string; readonly server: Child; readonly tokens: BenchTokens }> {
    const { vehicle, context, view, bus, signal } = this.#parts;
    const names = vehicle.ecus.map(({ name }) => name).join(', ');
    const ecus = vehicle.ecus.map(({ name }) => this.#startEcu(name));
    view.phase('key ceremony: the keys of both repositories are made');
    const unique = toHex(systemRandom.bytes(4));
    await using factory = await BenchFactory.open(this.#parts.folder);
    const { trustDir } = factory;
    view.phase('the backend gets its database and starts');
    const tokens = {
      factory: await benchToken(this.serverData, 'factory', unique),
      release: await benchToken(this.serverData, 'release', unique),
      operator: await benchToken(this.serverData, 'operator', unique),
    };
    const child = this.startServer(0, server);
    const { url } = (await child.ready()) as { url: string };
    view.line(`backend on ${url}`);
    view.phase(`${names} start; releases are signed and uploaded`);
    const backend = { url, token: tokens.release };
    const { images, encrypted } = releases;
    const released = factory.release(backend, images, encrypted, vehicle, signal);
    released.catch(() => {}); // reported below
    await Promise.all(ecus.map((ecu) => ecu.ready()));
    view.line(`on the bus: ${names}`);
    const begun = new Set<string>();
    await provisionBench({
      ...{ bus, vehicle, trustDir, server: url, token: tokens.factory, signal },
      stateDir: this.stateDir,
      logger: context.logger,
      onEvent: (event) => {
        if (event.kind === 'step' && !begun.has(event.name)) {
          begun.add(event.name);
          view.phase(`${event.name} is provisioned`);
        }
        if (event.kind === 'device') view.line(`${event.name}: ${event.status} as ${event.serial}`);
      },
    });
    view.phase('the releases are uploaded');
    await released;
    view.phase('the TMU starts');
    return { url, server: child, tokens };
  }

  /** Starts the backend on the data of the previous one. Port 0 takes a free port; a ready server reports its `url`. */
  startServer(port: number, options: ChildOptions = {}): Child {
    const trust = path.join(this.#parts.folder, 'trust');
    return this.#parts.children.start(
      'server',
      [
        ...['server', '--port', String(port), '--data', this.serverData, '--trust', trust],
        ...['--devices', 'required', '--allow-ip', '127.0.0.1/32', '--json'],
      ],
      options,
    );
  }

  startTmu(url: string, args: readonly string[], options: ChildOptions): Child {
    const { children, options: bench } = this.#parts;
    return children.start(
      'TMU',
      [
        ...['tmu', '--json', '--server', url, '--state-dir', this.stateDir],
        ...['--approval-timeout', String(bench.approvalTimeout), '--transport', bench.transport],
        ...args,
        ...this.shared,
      ],
      options,
    );
  }

  #startEcu(name: string): Child {
    const { vehicle, folder, children, options, context, view, driver } = this.#parts;
    const flash = path.join(folder, name.toLowerCase());
    const factory = STANDARD[name]?.factory;
    const image = factory === undefined ? [] : ['--image', `${path.join(firmware, factory)}@1.0.0`];
    const common = ['--flash', flash, ...image, ...this.shared];
    if (name !== vehicle.approval?.ecu) return children.start(name, ['ecu', name, ...common]);
    const { approve, approvalTimeout } = options;
    return children.start(
      name,
      [
        'cgw',
        ...common,
        '--approve',
        approve,
        '--approval-timeout',
        String(approvalTimeout),
        ...(context.json ? ['--json'] : []),
      ],
      // The driver uses our terminal: input goes to the CGW, and the output of the CGW is shown.
      driver !== undefined
        ? {
            input: driver,
            // The CGW's messages about ECUs are left out, because the TMU reports them.
            onLine: (line) => {
              const isKnown = vehicle.ecus.some((ecu) => line.startsWith(`${ecu.name}: `));
              if (!isKnown && !line.startsWith(`${name} on `)) view.line(`${name}  ${line}`);
            },
            // With --json the question is on standard error.
            showErrors: context.json,
          }
        : {},
    );
  }
}
