// The file with the code of a thread: beside the file that starts it, as source or as built.

/**
 * `besides`: `import.meta.url` of the file that starts it. `.ts` in a checkout, `.js` in a build: tsc does not rewrite
 * file names that are not imports.
 */
export function threadUrl(name: string, besides: string): URL {
  return new URL(`./${name}${besides.endsWith('.ts') ? '.ts' : '.js'}`, besides);
}
