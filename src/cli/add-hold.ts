import type { Command } from 'commander'
import { findEndpoints } from './endpoints.ts'
import type { GlobalOptions } from './global-options.ts'
import { hold } from './hold-command.ts'
import type { World } from './world.ts'

export function addHold(add: (name: string) => Command, world: World): void {
  type Options = GlobalOptions & { reason?: string }
  const order = async (name: string, isHeld: boolean, command: Command) => {
    const { reason, ...options } = command.optsWithGlobals<Options>()
    const { format } = options
    await hold(await findEndpoints(options, world), { name, isHeld, reason, format }, world)
  }
  add('hold')
    .description('take a standby out of service: it takes over from nobody and gets no reads')
    .argument('<member>')
    .option('--reason <text>', 'why, for the others')
    .action((name: string, _options, command: Command) => order(name, true, command))
  add('unhold')
    .description('take it back into service')
    .argument('<member>')
    .action((name: string, _options, command: Command) => order(name, false, command))
}
