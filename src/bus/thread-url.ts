// The file with the code of a thread: beside the file that starts it, as source or as built.

/** `.ts` in a checkout, `.js` in a build: tsc does not rewrite file names that are not imports. */
export function threadUrl(name: string): URL {
  return new URL(`./${name}${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);
}
