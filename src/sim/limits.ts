// What limits the speed of a simulation: the profiler of the engine samples where the processor's time goes.

import { Session } from 'node:inspector/promises';
import { present } from '../core/present.ts';
import type { RunEpisode } from './episode.ts';

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string };
  readonly hitCount?: number | undefined;
  readonly children?: readonly number[] | undefined;
}

/** Parts in the order in which a sample is matched; a sample that matches none belongs to its caller. */
const PARTS: readonly { readonly part: string; readonly name?: RegExp; readonly url?: RegExp }[] = [
  { part: 'memory', name: /^\(garbage collector\)$/ },
  { part: 'idle', name: /^\((idle|program)\)$/ },
  { part: 'signatures', url: /internal\/crypto\/(sig|keys|keygen|diffiehellman)|noble\/curves/ },
  {
    part: 'signatures',
    name: /^(signOneShot|verifyOneShot|sign|verify)$/,
    url: /^(node:.*crypto.*)?$/,
  },
  { part: 'hashes', url: /noble\/hashes|internal\/crypto\/hash/ },
  { part: 'database', url: /node:sqlite|kysely|server\/db\// },
  {
    part: 'server',
    url: /\/server\/|koa|light-my-request|node:_http|internal\/(streams|webstreams)/,
  },
  {
    part: 'frames',
    url: /src\/(bus|isotp)\/|src\/sim\/(simulated-(bus|node)|frame-|error-|babbling)/,
  },
  { part: 'clock', url: /src\/sim\/(virtual-clock|timer-heap)/ },
  { part: 'diagnostics', url: /src\/(uds|drivers)\/|ecus\// },
  { part: 'disks', url: /src\/sim\/simulated-disk/ },
  { part: 'metadata', url: /src\/trust\/|tufjs|zod/ },
  { part: 'checks', url: /src\/sim\// },
  { part: 'TMU', url: /src\/(tmu|campaign)\// },
];

interface LimitMeter {
  /** Ends the measurement; the shares of all parts add up to 1. */
  stop(): Promise<Readonly<Record<string, number>>>;
}

async function measureLimits(): Promise<LimitMeter> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: 500 });
  await session.post('Profiler.start');
  return {
    stop: async () => {
      const { profile } = await session.post('Profiler.stop');
      session.disconnect();
      return sharesOf(profile.nodes);
    },
  };
}

/** Measures the first episodes, and reports the shares after the last of them. */
export function measuring(
  runEpisode: RunEpisode,
  measured: number,
  onLimits: (limits: Readonly<Record<string, number>>) => void,
): RunEpisode {
  let meter: LimitMeter | undefined;
  let episodes = 0;
  return async (plan) => {
    if (episodes === 0) meter = await measureLimits();
    try {
      return await runEpisode(plan);
    } finally {
      if (++episodes === measured && meter !== undefined) onLimits(await meter.stop());
    }
  };
}

/** Exported for tests only. */
export function sharesOf(nodes: readonly ProfileNode[]): Readonly<Record<string, number>> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const children = new Set(nodes.flatMap((node) => node.children ?? []));
  const hits: Record<string, number> = {};
  const stack = nodes.filter(({ id }) => !children.has(id)).map((node) => ({ node, part: 'rest' }));
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const part = partOf(next.node) ?? next.part;
    hits[part] = (hits[part] ?? 0) + (next.node.hitCount ?? 0);
    for (const id of next.node.children ?? [])
      stack.push({ node: present(byId.get(id), `node ${id}`), part });
  }
  delete hits.idle;
  const all = Object.values(hits).reduce((sum, count) => sum + count, 0);
  if (all === 0) return {};
  const entries = Object.entries(hits).filter(([, count]) => count > 0);
  return Object.fromEntries(
    entries.map(([part, count]) => [part, Math.round((1000 * count) / all) / 1000]),
  );
}

function partOf({ callFrame: { functionName, url } }: ProfileNode): string | undefined {
  return PARTS.find(
    (part) => (part.name?.test(functionName) ?? true) && (part.url?.test(url) ?? true),
  )?.part;
}
