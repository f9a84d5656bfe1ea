#!/usr/bin/env node
// The file that `bin` names. It imports nothing at once, so that an old Node gets a sentence instead of a stack.

const needed = [24, 15] as const;
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major < needed[0] || (major === needed[0] && minor < needed[1])) {
  process.stderr.write(
    `can-ota needs Node.js ${needed.join('.')} or newer, this is ${process.versions.node}.\n` +
      'In a clone, `npm ci` brings one along: run it with `npx can-ota` or `npm run`.\n',
  );
  process.exitCode = 2;
} else {
  // Compiled code of the sources is kept between starts: half the start-up time of every process of a bench. By the
  // environment it reaches the threads, too, which have modules of their own.
  const { default: nodeModule } = await import('node:module');
  const { directory } = nodeModule.enableCompileCache();
  if (directory !== undefined) process.env.NODE_COMPILE_CACHE ??= directory;
  const { guardOutput, outputExitCode } = await import('./output.ts');
  guardOutput();
  const { main } = await import('./program.ts');
  process.exitCode = outputExitCode(await main(process.argv));
}
