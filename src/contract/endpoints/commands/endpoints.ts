// The endpoints of commands.

import { cancelCommand, submitCancel } from './cancel.ts';
import { showCatalogue } from './catalogue.ts';
import { listCommands } from './list.ts';
import { orderCommand } from './order.ts';
import { showCommand } from './show.ts';

export const COMMAND_ENDPOINTS = [
  listCommands,
  showCatalogue,
  showCommand,
  orderCommand,
  cancelCommand,
  submitCancel,
] as const;
