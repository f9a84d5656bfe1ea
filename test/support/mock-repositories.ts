// A Director and an image repository in memory, with releases and a vehicle: `mock.director.expire('timestamp')`.

import { createHash } from 'node:crypto';
import type { TrustFault, Verdict } from '../../src/trust/attack.ts';
import type { MetadataAnswer, MetadataRequest } from '../../src/trust/repository.ts';
import type { TargetSpec } from '../../src/trust/role-signing.ts';
import { MockRepository } from './mock-repository.ts';

export { MockRepository, mockSigner } from './mock-repository.ts';

export type RepositoryName = 'director' | 'images';

export const MOCK_VIN = 'WCANOTA0000000001';
export const MOCK_NOW_MS = Date.UTC(2026, 8, 1, 12);

export interface MockOptions {
  readonly nowMs?: number;
  readonly vin?: string;
}

export interface ReleaseOptions {
  readonly version?: string;
  readonly image?: Uint8Array;
  readonly hardwareIds?: readonly string[];
  readonly releaseCounter?: number;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly encrypt?: boolean;
  readonly forced?: boolean;
  readonly notes?: string;
  /** Listed beside SHA-256. */
  readonly hashes?: Readonly<Record<string, string>>;
}

export interface MockRelease {
  readonly ecu: string;
  readonly version: string;
  /** Target path in both repositories. */
  readonly name: string;
  readonly image: Uint8Array;
  /** As the image repository lists it. */
  readonly target: TargetSpec;
}

export interface AssignOptions {
  /** Default: the first one of the release. */
  readonly hardwareId?: string;
  /** EncryptedImage, or anything else. */
  readonly encryption?: unknown;
  /** Fields of `custom` that differ from what the image repository says. */
  readonly custom?: Readonly<Record<string, unknown>>;
  /** The same for length and hashes. */
  readonly target?: Partial<TargetSpec>;
}

export class MockRepositories {
  readonly vin: string;
  readonly director: MockRepository;
  readonly images: MockRepository;

  constructor({ nowMs = MOCK_NOW_MS, vin = MOCK_VIN }: MockOptions = {}) {
    this.vin = vin;
    this.director = new MockRepository('director', { nowMs, roles: { time: 1 } });
    this.images = new MockRepository('images', { nowMs });
    this.director.setCustom({ vin });
  }

  /** What the image repository's owner releases: a target with everything that must match. */
  release(ecu: string, options: ReleaseOptions = {}): MockRelease {
    const { version = '2.0.0', hardwareIds = [`${ecu}-HW-1`], releaseCounter = 2 } = options;
    const image = options.image ?? new TextEncoder().encode(`${ecu} ${version} `.repeat(64));
    const sha256 = createHash('sha256').update(image).digest('hex');
    const name = `${ecu}-${version}-${sha256.slice(0, 12)}.bin`;
    const target: TargetSpec = {
      length: image.length,
      hashes: { sha256, ...options.hashes },
      custom: {
        ecu,
        version,
        hardwareIds,
        releaseCounter,
        dependencies: options.dependencies ?? {},
        encrypt: options.encrypt ?? false,
        ...(options.forced === undefined ? {} : { forced: options.forced }),
        notes: options.notes ?? '',
      },
    };
    this.images.addTarget(name, target);
    return { ecu, version, name, image, target };
  }

  /** The Director tells this ECU to run the release; several ECUs may be told the same. */
  assign(serial: string, release: MockRelease, options: AssignOptions = {}): this {
    const custom = release.target.custom ?? {};
    const [hardwareId] = (custom.hardwareIds as readonly string[] | undefined) ?? [];
    const before = this.assigned(release.name);
    this.director.addTarget(release.name, {
      ...release.target,
      ...options.target,
      custom: {
        ...custom,
        ...options.custom,
        ecuIdentifiers: {
          ...before,
          [serial]: {
            hardwareId: options.hardwareId ?? hardwareId ?? '',
            ...(options.encryption === undefined ? {} : { encryption: options.encryption }),
          },
        },
      },
    });
    return this;
  }

  /** `custom.ecuIdentifiers` of a target of the Director. */
  assigned(name: string): Readonly<Record<string, unknown>> {
    if (!this.director.lists(name)) return {};
    const custom = this.director.target(name).custom as { ecuIdentifiers?: object } | undefined;
    return { ...custom?.ecuIdentifiers };
  }

  /** Time passes for both repositories; what they have signed already stays as it is. */
  skip(ms: number): this {
    this.director.nowMs += ms;
    this.images.nowMs += ms;
    return this;
  }

  repository(name: RepositoryName): MockRepository {
    return name === 'director' ? this.director : this.images;
  }

  files(name: RepositoryName): ReadonlyMap<string, Uint8Array> {
    return this.repository(name).files();
  }

  answer(name: RepositoryName, request: MetadataRequest): MetadataAnswer {
    return this.repository(name).answer(request);
  }

  /** Answers a full verification until it has all, or finds fault. */
  serve(verification: PullVerification): TrustFault | undefined {
    for (;;) {
      const wanted = verification.next();
      if (wanted === undefined) return undefined;
      const verdict = verification.accept(this.answer(wanted.repository, wanted.request));
      if (!verdict.ok) return verdict;
    }
  }
}

/** A `FullVerification`, or whatever asks like one. */
export interface PullVerification {
  next(): { readonly repository: RepositoryName; readonly request: MetadataRequest } | undefined;
  accept(answer: MetadataAnswer): Verdict<unknown>;
}

/** The same for one repository: a `RepositoryUpdate`. */
export function serveUpdate(
  repository: MockRepository,
  update: {
    next(): MetadataRequest | undefined;
    accept(answer: MetadataAnswer): Verdict<unknown>;
  },
): TrustFault | undefined {
  for (;;) {
    const request = update.next();
    if (request === undefined) return undefined;
    const verdict = update.accept(repository.answer(request));
    if (!verdict.ok) return verdict;
  }
}

export function mockRepositories(options: MockOptions = {}): MockRepositories {
  return new MockRepositories(options);
}
