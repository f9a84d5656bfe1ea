// The options of `can-ota completion`, which prints completion scripts for shells.

import { Argument, type Command } from 'commander';
import { command } from '../program-options.ts';
import { SHELLS } from './shells.ts';

export function addCompletion(program: Command): void {
  command(
    program,
    'completion',
    'Print the completion script of a shell.',
    `can-ota completion bash > ~/.local/share/bash-completion/completions/can-ota
       can-ota completion zsh > ~/.zfunc/_can-ota
       can-ota completion fish > ~/.config/fish/completions/can-ota.fish`,
  )
    .addArgument(new Argument('<shell>', 'shell').choices(SHELLS))
    .action(async (shell) => {
      const { completionScript } = await import('./shells.ts');
      process.stdout.write(completionScript(program, shell));
    });
}
