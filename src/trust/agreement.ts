// How many of the agreeing roles count, where several roles must agree (Uptane 5.4.4.9).

/** The statement of one role: the keys that have signed its file, and how many of them are needed. */
export interface Voice {
  readonly name: string;
  /** Identifies keys by their material, not by their ids. */
  readonly signers: ReadonlySet<string>;
  readonly threshold: number;
}

/**
 * Number of roles that are independent of each other. A role that is named twice counts once, and a key of several roles
 * counts for one of them: each counted role has a threshold of keys that no other counted role uses.
 */
export function independentVoices(voices: readonly Voice[]): number {
  /** The role that each key counts for. */
  let owners = new Map<string, Voice>();
  const claim = (voice: Voice, seen: Set<string>): boolean => {
    for (const key of voice.signers) {
      if (seen.has(key) || owners.get(key) === voice) continue;
      seen.add(key);
      const owner = owners.get(key);
      // The role that has this key may be able to use another one.
      if (owner !== undefined && !claim(owner, seen)) continue;
      owners.set(key, voice);
      return true;
    }
    return false;
  };
  const counted = new Set<string>();
  // Roles with the lowest threshold first: they leave the most keys to the others.
  const order = voices.toSorted((a, b) => a.threshold - b.threshold);
  for (const voice of order) {
    const { name, threshold } = voice;
    if (counted.has(name)) continue;
    const before = new Map(owners);
    let claimed = 0;
    while (claimed < threshold && claim(voice, new Set())) claimed++;
    if (claimed === threshold) counted.add(name);
    else owners = before;
  }
  return counted.size;
}
