// How many of the roles that say the same count, where some of them must agree (Uptane 5.4.4.9).

/** One role that has spoken: the keys that have signed its file rightly, and how many of them it takes. */
export interface Voice {
  readonly name: string;
  /** What the keys are, not what they are called. */
  readonly signers: ReadonlySet<string>;
  readonly threshold: number;
}

/**
 * Roles that speak for themselves. A role that is named twice counts once; and so does a key that several roles name:
 * each role that counts has its threshold of keys which no other role that counts needs.
 */
export function independentVoices(voices: readonly Voice[]): number {
  /** Whose voice a key is. */
  let owners = new Map<string, Voice>();
  const claim = (voice: Voice, seen: Set<string>): boolean => {
    for (const key of voice.signers) {
      if (seen.has(key) || owners.get(key) === voice) continue;
      seen.add(key);
      const owner = owners.get(key);
      // The role that has this key may do with another one.
      if (owner !== undefined && !claim(owner, seen)) continue;
      owners.set(key, voice);
      return true;
    }
    return false;
  };
  const counted = new Set<string>();
  // Those that take the fewest keys first: they leave the most to the others.
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
