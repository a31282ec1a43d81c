import { ClientError } from '#client'
import { nearest } from '../std/nearest.ts'
import { visibleText } from '../std/visible-text.ts'
import { CommandFailure, EXIT } from './command-failure.ts'
import { printReport, type Report } from './report.ts'
import type { World } from './world.ts'

/* What every command does that changes the cluster by the word of a person. */

/** Shows what there is and asks. Throws where the answer is not yes, or nobody can be asked. */
export async function confirm(
  asked: {
    readonly whether: string
    readonly shown: Report | { readonly lines: readonly string[] }
    readonly question: string
  },
  world: World,
): Promise<void> {
  if (!world.ask)
    throw new CommandFailure(
      EXIT.wrongUsage,
      `Cannot ask whether to ${asked.whether}: there is no terminal`,
      'Add --force to do it without a question',
    )
  const { shown } = asked
  if ('lines' in shown)
    world.stderr.write(`${shown.lines.map((line) => visibleText(line, 500)).join('\n')}\n`)
  else printReport(shown, 'pretty', { ...world, stdout: world.stderr })
  const answer = await world.ask(`${asked.question} [y/N] `)
  if (/^y(es)?$/i.test(answer?.trim() ?? '')) return
  throw new CommandFailure(EXIT.failed, 'Nothing was changed: the question was not answered with yes')
}

/** The request was sent and no answer came: that it failed is not known. */
export function outcomeUnknown(what: string, hint: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof ClientError) || error.kind !== 'unreachable') throw error
    throw new CommandFailure(
      EXIT.unreachable,
      `${what} was asked for, and no answer came: ${error.message}`,
      hint,
    )
  }
}

/** Throws for a name that nobody has, with the one that was meant perhaps. `what` cannot be done then. */
export function requireMember(name: string, names: readonly string[], what: string): void {
  if (names.includes(name)) return
  const meant = nearest(name, names)
  throw new CommandFailure(
    EXIT.failed,
    `Cannot ${what}: there is no member "${name}", the members are ${names.join(', ')}`,
    meant === undefined ? undefined : `Did you mean ${meant}?`,
  )
}
