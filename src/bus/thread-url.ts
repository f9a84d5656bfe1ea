// Where the code of a thread is: beside the file that starts it, as source or as built.

/** `.ts` in a checkout, `.js` once built: tsc does not rewrite the names of files that are no imports. */
export function threadUrl(name: string): URL {
  return new URL(`./${name}${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);
}
