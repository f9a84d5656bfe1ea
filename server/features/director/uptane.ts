// What a server with --trust is besides a file server: Director, image repository, or both.

import type { Clock } from '../../../src/core/clock.ts';
import { InputError } from '../../../src/core/errors.ts';
import type { Logger } from '../../../src/core/logger.ts';
import type { Random } from '../../../src/core/random.ts';
import type { RepositoryName } from '../../../src/trust/full-verification.ts';
import type { Database } from '../../platform/db/database.ts';
import type { AuditLog } from '../audit/store.ts';
import type { ClockWatch } from '../operations/clock-watch.ts';
import type { DeviceStore } from '../registry/store.ts';
import { ImageRepository } from '../releases/image-repository.ts';
import type { ImageStore } from '../releases/image-store.ts';
import { MetadataStore } from '../releases/metadata-store.ts';
import { RootChain } from '../releases/root-chain.ts';
import type { ReleaseSource, WatchedFile } from '../releases/signed-releases.ts';
import type { ReleaseStore } from '../releases/store.ts';
import { readTrustFolder, type TrustFolder } from '../releases/trust-folder.ts';
import type { VehicleStore } from '../vehicles/store.ts';
import type { BackupWatch } from './backup-watch.ts';
import type { SignedRelease } from './decide.ts';
import { Director } from './director.ts';
import { ImageEncryption } from './encrypt-image.ts';
import { EncryptedImageStore } from './encrypted-image-store.ts';
import { UpstreamImages } from './upstream-images.ts';
import { VersionFloor } from './version-floor.ts';

const SERVER_ROLES = ['all', 'director', 'images'] as const;
export type ServerRole = (typeof SERVER_ROLES)[number];

export interface ServerUptaneOptions {
  readonly role: ServerRole;
  /** The folder of --trust. */
  readonly trustDir?: string;
  /** Opens its keys where they are encrypted. */
  readonly passphrase?: string | undefined;
  /** What such a folder holds, for who has read it already. One of the two is given. */
  readonly trust?: TrustFolder;
  /** The image repository of a lone Director. */
  readonly imagesUrl?: string | undefined;
  readonly imagesToken?: string | undefined;
  /** How that one is asked, through proxies for example; Node's own when missing. */
  readonly fetch?: typeof fetch | undefined;
}

export interface Uptane {
  readonly role: ServerRole;
  readonly releases: ReleaseSource;
  readonly encrypted: EncryptedImageStore;
  readonly director: Director | undefined;
  readonly directorRoots: RootChain | undefined;
  /** Undefined on a lone Director. */
  readonly images: ImageRepository | undefined;
  /** Everything that can expire here, except what is signed for a single vehicle when it asks. */
  watchedFiles(): Promise<readonly (readonly [RepositoryName, WatchedFile])[]>;
  /** A metadata file of the image repository, our own or the mirrored one. */
  imageMetadata(name: string): Promise<Uint8Array | undefined>;
  /** Brings the image of a release here where it is not. Throws where it cannot be had. */
  fetchImage(release: SignedRelease): Promise<void>;
}

export interface UptaneDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly audit: AuditLog;
  readonly devices: DeviceStore;
  readonly vehicles: VehicleStore;
  readonly releases: ReleaseStore;
  readonly images: ImageStore;
  readonly watch: BackupWatch;
  readonly clockWatch: ClockWatch;
}

/** The image repository of this server, or that of another one. */
type ImageSource =
  | { readonly images: ImageRepository; readonly upstream?: undefined }
  | { readonly upstream: UpstreamImages; readonly images?: undefined };

async function trustFolder({
  trust,
  trustDir,
  passphrase,
}: ServerUptaneOptions): Promise<TrustFolder> {
  if (trust !== undefined) return trust;
  if (trustDir === undefined) throw new InputError('--trust', 'which folder?');
  return readTrustFolder(trustDir, passphrase);
}

/** Throws ServerError `TRUST` for a folder that does not fit, InputError for an address that is none. */
export async function openUptane(options: ServerUptaneOptions, deps: UptaneDeps): Promise<Uptane> {
  const { role } = options;
  const folder = await trustFolder(options);
  const store = new MetadataStore(deps.db);
  const floor = new VersionFloor(deps.db);
  const { trustDir, passphrase } = options;
  const reread =
    trustDir === undefined ? {} : { reread: () => readTrustFolder(trustDir, passphrase) };
  const imageRoots = await RootChain.open('images', store, folder, {
    signs: role !== 'director',
    ...reread,
  });
  const source: ImageSource =
    role === 'director'
      ? {
          upstream: await UpstreamImages.open({
            url: upstreamUrl(options.imagesUrl),
            token: options.imagesToken,
            chain: imageRoots,
            store,
            images: deps.images,
            fetch: options.fetch ?? fetch,
            clock: deps.clock,
            logger: deps.logger,
          }),
        }
      : { images: await ImageRepository.open(imageRoots, folder, { ...deps, store, floor }) };
  const { images, upstream } = source;
  const directorRoots =
    role === 'images'
      ? undefined
      : await RootChain.open('director', store, folder, { signs: true, ...reread });
  if (directorRoots !== undefined) {
    await deps.clockWatch.enter(directorRoots.signers('time').map(({ keyId }) => keyId));
  }
  const encrypted = new EncryptedImageStore(deps.db);
  const releases: ReleaseSource = source.images ?? source.upstream;
  const fetchImage = async (release: SignedRelease): Promise<void> => {
    if (upstream === undefined || (await deps.images.has(release.sha256))) return;
    await upstream.fetchImage(release);
  };
  return {
    role,
    releases,
    encrypted,
    images,
    directorRoots,
    fetchImage,
    watchedFiles: async () => {
      const files =
        source.images === undefined ? source.upstream.watched() : await source.images.watched();
      const roots =
        directorRoots === undefined ? [] : [['director', rootOf(directorRoots)] as const];
      return [
        ...roots,
        ['images', rootOf(imageRoots)] as const,
        ...files.map((file) => ['images', file] as const),
      ];
    },
    imageMetadata: async (name) => {
      if (source.images !== undefined) return source.images.file(name);
      await source.upstream.refresh();
      return source.upstream.file(name);
    },
    director:
      directorRoots === undefined
        ? undefined
        : new Director({
            ...deps,
            chain: directorRoots,
            releases,
            floor,
            encryption: new ImageEncryption({
              store: encrypted,
              images: deps.images,
              random: deps.random,
              open: async (release) => {
                await fetchImage(release);
                return deps.images.openImage(release.sha256);
              },
            }),
            // A lone Director trusts the image repository to have what it lists; vehicles find out.
            holds: (release) => upstream !== undefined || deps.releases.holds(release.sha256),
          }),
  };
}

function rootOf({ bytes }: RootChain): WatchedFile {
  return { role: 'root', bytes };
}

function upstreamUrl(text: string | undefined): URL {
  const url = text === undefined ? null : URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new InputError(
      '--images-url',
      `${JSON.stringify(text ?? '')} is no address: a lone Director needs its image repository, as http://host:port`,
    );
  }
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}
