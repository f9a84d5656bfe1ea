#!/usr/bin/env node
// The file that `bin` names. It has no static imports, so that an old Node prints a message instead of a stack.

const needed = [24, 15] as const;
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major < needed[0] || (major === needed[0] && minor < needed[1])) {
  await underNewerNode();
} else {
  // Keeps compiled code between starts, which halves the start-up time of every process of a bench. The environment
  // variable also reaches worker threads, which load their own modules.
  const { default: nodeModule } = await import('node:module');
  const { directory } = nodeModule.enableCompileCache();
  if (directory !== undefined) process.env.NODE_COMPILE_CACHE ??= directory;
  const { guardOutput, outputExitCode } = await import('./output.ts');
  guardOutput();
  const { main } = await import('./program.ts');
  process.exitCode = outputExitCode(await main(process.argv));
}

/**
 * Runs the command with the npm package `node`, which has a new enough Node, in a clone or beside an installed package.
 */
async function underNewerNode(): Promise<void> {
  const { createRequire } = await import('node:module');
  let program: string | undefined;
  try {
    program = createRequire(import.meta.url).resolve('node/bin/node');
  } catch {
    // The package is not installed.
  }
  if (program === undefined || program === process.execPath) {
    process.stderr.write(
      `can-ota needs Node.js ${needed.join('.')} or newer, this is ${process.versions.node}.\n` +
        'Install a newer one, or the npm package node@24 beside can-ota: npm install -g node@24\n',
    );
    process.exitCode = 2;
    return;
  }
  const { spawn } = await import('node:child_process');
  const child = spawn(program, process.argv.slice(1), { stdio: 'inherit' });
  // Control-C reaches both processes by the terminal; other signals are passed on. This process ends after the child.
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => child.kill(signal));
  }
  child.on('error', (error) => {
    process.stderr.write(`can-ota: ${program}: ${error.message}\n`);
    process.exitCode = 2;
  });
  child.on('exit', (code, signal) => {
    process.exitCode = signal === null ? (code ?? 1) : 1;
  });
}
