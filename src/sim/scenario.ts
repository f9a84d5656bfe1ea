// The plan of one episode, drawn from the seed before anything runs: releases and faults, campaign by campaign.

import { CHUNK_FAULTS } from '../contract/chunked/faults.ts';
import { InputError } from '../core/errors.ts';
import { itemAt } from '../core/present.ts';
import type { Random } from '../core/random.ts';
import { drawFault, type Fault, faultText, type ProfileEntry } from './faults/catalogue.ts';
import { dimensionsOf } from './faults/draw.ts';
import { type EcuName, OTHER_MAKE, OUR_ECUS } from './machine-names.ts';
import { type Character, drawCharacter } from './other-make/character.ts';
import { seededRandom } from './seeded-random.ts';

/** A fault of one vehicle, counted from 0. Faults of the server concern all vehicles. */
export interface PlannedFault {
  readonly vehicle: number;
  readonly fault: Fault;
}

/** New images for these ECUs of every vehicle, and the faults during their update. */
export interface CampaignPlan {
  /** Number in its episode, from 1; kept when other campaigns are left out. */
  readonly number: number;
  readonly ecus: readonly EcuName[];
  readonly faults: readonly PlannedFault[];
  /** Campaign and proof are safety releases: the driver is told and not asked. */
  readonly forced: boolean;
  /** Whether the images are encrypted for each ECU. */
  readonly encrypted: boolean;
  /** ECUs of the campaign without faults that follows, which shows that the vehicle can take the next update. */
  readonly proof: readonly EcuName[];
}

export interface EpisodePlan {
  /** Seed of the world: the same for all plans that are shrunk from this one. */
  readonly seed: string;
  readonly episode: number;
  readonly vehicles: number;
  /** ECUs with a single bank, whose running image is overwritten. */
  readonly singleBank: readonly EcuName[];
  /** Whether images come in chunks that are authenticated one by one. */
  readonly chunked: boolean;
  /** How the ECU of another make behaves; null: the vehicles have none. */
  readonly otherMake: Character | null;
  /** Whether a small device gets a release with each campaign. */
  readonly smallDevice: boolean;
  readonly campaigns: readonly CampaignPlan[];
}

export interface ScenarioOptions {
  readonly seed: string;
  readonly categories: readonly ProfileEntry[];
  readonly imageBytes: number;
  readonly vehicles: number;
}

/** Campaigns of one world: enough for one to find what an earlier one has left behind. */
export const CAMPAIGNS_PER_EPISODE = 20;
const MAX_ECUS = 3;
const MAX_FAULTS = 4;

/** Share of episodes with a single-bank ECU, which is restored from the image that the TMU keeps. */
const SINGLE_BANK_SHARE = 0.25;
/**
 * Share of episodes with chunked downloads, which backend faults need; every episode where the profile has
 * nothing else.
 */
const CHUNKED_SHARE = 0.3;
/** Share of episodes with an ECU of another make; every episode where the profile has nothing else. */
const OTHER_MAKE_SHARE = 0.35;
/** Share of episodes with a small device; every episode where the profile has nothing else. */
const SMALL_DEVICE_SHARE = 0.25;
const MAX_DEVICE_FAULTS = 2;
/** Share of campaigns with an attacker, and of those in which the backend loses its power. */
const SELDOM_SHARE = 0.15;
/** Share of campaigns with a release for the ECU of another make, where it is fitted. */
const OTHER_MAKE_CAMPAIGN_SHARE = 0.6;
const MAX_OTHER_MAKE_FAULTS = 2;
const FORCED_SHARE = 0.1;
const ENCRYPTED_SHARE = 0.2;

/** Equal for equal seed, episode and profile; `campaigns` only limits their number. */
export function planEpisode(
  options: ScenarioOptions,
  episode: number,
  campaigns: number = CAMPAIGNS_PER_EPISODE,
): EpisodePlan {
  const { seed, vehicles, categories } = options;
  const random = seededRandom(`${seed}/${episode}/scenario`);
  const isSingle = random.fraction() < SINGLE_BANK_SHARE;
  const single = sample(random, 1);
  // A separate random stream, so that the other draws stay the same.
  const byChance = seededRandom(`${seed}/${episode}/transport`).fraction() < CHUNKED_SHARE;
  const chunked = byChance || (categories.length > 0 && categories.every(isOfBackend));
  const elsewhere = categories.filter((entry) => !OWN_STREAM.has(entry));
  const drawn = {
    ...options,
    categories: chunked ? elsewhere : elsewhere.filter(isElsewhere),
  };
  const otherMake = drawOtherMake(options, episode);
  const smallDevice = drawSmallDevice(options, episode);
  return {
    seed: `${seed}/${episode}`,
    episode,
    vehicles,
    // Without faults nothing is ever restored.
    singleBank: isSingle && options.categories.length > 0 ? single : [],
    chunked,
    otherMake,
    smallDevice,
    campaigns: Array.from({ length: campaigns }, (_none, index) => {
      const campaign = planCampaign(random, drawn, index + 1);
      const made = otherMake === null ? campaign : withOtherMake(campaign, drawn, episode);
      const powered = withSeldomFaults(made, options, episode);
      return smallDevice ? withDeviceFaults(powered, drawn, episode) : powered;
    }),
  };
}

function isOfBackend(entry: ProfileEntry): boolean {
  return entry === 'backend' || Object.hasOwn(CHUNK_FAULTS, entry);
}

function isElsewhere(entry: ProfileEntry): boolean {
  return !isOfBackend(entry);
}

/** Categories with a separate random stream, so that the other draws stay the same without them. */
const OWN_STREAM: ReadonlySet<ProfileEntry> = new Set(['make', 'attacker', 'server', 'device']);

function drawSmallDevice({ seed, categories }: ScenarioOptions, episode: number): boolean {
  if (!categories.includes('device')) return false;
  const isAlone = categories.every((entry) => entry === 'device');
  return seededRandom(`${seed}/${episode}/small device`).fraction() < SMALL_DEVICE_SHARE || isAlone;
}

/** Adds each of these faults to a share of the campaigns. All vehicles share the backend and its power. */
function withSeldomFaults(
  campaign: CampaignPlan,
  { seed, categories, imageBytes }: ScenarioOptions,
  episode: number,
): CampaignPlan {
  const faults = [...campaign.faults];
  for (const category of ['attacker', 'server'] as const) {
    if (!categories.includes(category)) continue;
    const random = seededRandom(`${seed}/${episode}/${campaign.number}/${category}`);
    const isAlone = categories.length === 1;
    if (random.fraction() >= SELDOM_SHARE && !isAlone) continue;
    const dimensions = dimensionsOf(campaign.ecus.length, imageBytes);
    const fault = drawFault(category, random, dimensions, campaign.ecus);
    faults.push({ vehicle: 0, fault });
  }
  return { ...campaign, faults };
}

function withDeviceFaults(
  campaign: CampaignPlan,
  { seed, imageBytes }: ScenarioOptions,
  episode: number,
): CampaignPlan {
  const random = seededRandom(`${seed}/${episode}/${campaign.number}/small device`);
  const dimensions = dimensionsOf(campaign.ecus.length, imageBytes);
  const count = Math.floor(random.fraction() * (MAX_DEVICE_FAULTS + 1));
  const faults = Array.from({ length: count }, () => ({
    vehicle: 0,
    fault: drawFault('device', random, dimensions, campaign.ecus),
  }));
  return { ...campaign, faults: [...campaign.faults, ...faults] };
}

function drawOtherMake({ seed, categories }: ScenarioOptions, episode: number): Character | null {
  if (!categories.includes('make')) return null;
  const random = seededRandom(`${seed}/${episode}/other make`);
  const isAlone = categories.every((entry) => entry === 'make');
  return random.fraction() < OTHER_MAKE_SHARE || isAlone ? drawCharacter(random) : null;
}

/** Adds a release for it, its own faults, and one that could hit any ECU, from a separate random stream. */
function withOtherMake(
  campaign: CampaignPlan,
  { seed, categories, imageBytes, vehicles }: ScenarioOptions,
  episode: number,
): CampaignPlan {
  const random = seededRandom(`${seed}/${episode}/${campaign.number}/other make`);
  if (random.fraction() >= OTHER_MAKE_CAMPAIGN_SHARE) return campaign;
  const isAlone = random.fraction() < 0.3;
  const ecus: readonly EcuName[] = isAlone ? [OTHER_MAKE] : [...campaign.ecus, OTHER_MAKE];
  const dimensions = dimensionsOf(ecus.length, imageBytes);
  const faults = [...campaign.faults];
  for (let vehicle = 0; vehicle < vehicles; vehicle++) {
    const count = Math.floor(random.fraction() * (MAX_OTHER_MAKE_FAULTS + 1));
    for (let n = 0; n < count; n++) {
      faults.push({ vehicle, fault: drawFault('make', random, dimensions, ecus) });
    }
    if (categories.length === 0 || random.fraction() < 0.5) continue;
    const category = itemAt(categories, Math.floor(random.fraction() * categories.length));
    faults.push({ vehicle, fault: drawFault(category, random, dimensions, [OTHER_MAKE]) });
  }
  return { ...campaign, ecus, faults };
}

function planCampaign(
  random: Random,
  { categories, imageBytes, vehicles }: ScenarioOptions,
  number: number,
): CampaignPlan {
  const below = (end: number): number => Math.floor(random.fraction() * end);
  const ecus = sample(random, 1 + below(MAX_ECUS));
  const dimensions = dimensionsOf(ecus.length, imageBytes);
  const faults: PlannedFault[] = [];
  for (let vehicle = 0; vehicle < vehicles; vehicle++) {
    const count = categories.length === 0 ? 0 : below(MAX_FAULTS + 1);
    for (let n = 0; n < count; n++) {
      const category = itemAt(categories, below(categories.length));
      faults.push({ vehicle, fault: drawFault(category, random, dimensions, ecus) });
    }
  }
  return {
    ...{ number, ecus, faults },
    forced: random.fraction() < FORCED_SHARE,
    encrypted: random.fraction() < ENCRYPTED_SHARE,
    proof: sample(random, 1),
  };
}

/** Draws ECUs; the result is in the order of the vehicle file. */
function sample(random: Random, count: number): readonly EcuName[] {
  const left: EcuName[] = [...OUR_ECUS];
  while (left.length > count) left.splice(Math.floor(random.fraction() * left.length), 1);
  return left;
}

/** The history as text: one line for each campaign and each fault. */
export function episodeText(plan: EpisodePlan): string {
  const { campaigns, vehicles, singleBank, chunked, otherMake } = plan;
  const first = otherMake === null ? [] : [otherMakeText(otherMake)];
  const way = chunked ? ', in chunks' : '';
  const bank = singleBank.length === 0 ? '' : ` (with one bank: ${singleBank.join(', ')})`;
  return [
    ...first,
    ...campaigns.map(({ number, ecus, faults, forced, encrypted }) =>
      [
        `campaign ${number}: new ${encrypted ? 'encrypted ' : ''}images for ${ecus.join(', ')}${way}${forced ? ', a safety release' : ''}${bank}`,
        ...faults.map(({ vehicle, fault }) => {
          const where = vehicles === 1 ? '' : `vehicle ${vehicle + 1}, `;
          return `  ${where}${faultText(fault)}`;
        }),
      ].join('\n'),
    ),
  ].join('\n');
}

function otherMakeText({ security, knows, answerMs, bootMs, eraseMs }: Character): string {
  return `${OTHER_MAKE} of another make: security ${security}, answers after ${answerMs} ms, boots in ${bootMs} ms, erases in ${eraseMs} ms, knows ${knows.join(', ') || 'nothing more'}`;
}

/**
 * The part of `full` that is left in `kept`, as text for a command line: `4/EDT+INV/0+2 7/BMS/`, which means
 * campaign, its ECUs, and which of its faults, counted from 0.
 */
export function selectionText(full: EpisodePlan, kept: EpisodePlan): string {
  return kept.campaigns
    .map(({ number, ecus, faults }) => {
      const all = full.campaigns.find((campaign) => campaign.number === number)?.faults ?? [];
      const indices = faults.map((fault) => all.indexOf(fault));
      return `${number}/${ecus.join('+')}/${indices.join('+')}`;
    })
    .join(' ');
}

/** The inverse of `selectionText`. Throws InputError. */
export function selectFrom(full: EpisodePlan, text: string): EpisodePlan {
  const bad = (what: string): never => {
    throw new InputError('--only', `${what}: expected CAMPAIGN/ECUS/FAULTS like 4/EDT+INV/0+2`);
  };
  const campaigns = text.split(' ').map((part): CampaignPlan => {
    const match = /^(\d+)\/([A-Z+]+)\/([\d+]*)$/.exec(part) ?? bad(JSON.stringify(part));
    const campaign =
      full.campaigns.find(({ number }) => number === Number(match[1])) ??
      bad(`there is no campaign ${match[1]}`);
    const [, , ecuNames = '', faultIndices = ''] = match;
    const names = ecuNames.split('+');
    const ecus = campaign.ecus.filter((ecu) => names.includes(ecu));
    if (ecus.length !== names.length) bad(`campaign ${match[1]} is for ${campaign.ecus.join('+')}`);
    const indices = faultIndices === '' ? [] : faultIndices.split('+').map(Number);
    const faults = indices.map(
      (index) => campaign.faults[index] ?? bad(`campaign ${match[1]} has no fault ${index}`),
    );
    return { ...campaign, ecus, faults };
  });
  return { ...full, campaigns };
}
