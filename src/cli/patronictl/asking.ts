import type { World } from '../world.ts'
import type { MembersOptions } from './context.ts'
import { leaderOf, printMembers, type Seen } from './members.ts'
import { refuse } from './output.ts'

/** The members that are meant, after the same questions that `patronictl` asks. */
export async function chosen(
  seen: Seen,
  options: MembersOptions,
  about: {
    readonly action: string
    readonly world: World
    /** Asks when it shall be done; `undefined`: now. */
    readonly time?: () => Promise<string | undefined>
  },
): Promise<readonly string[]> {
  const { action, world, time } = about
  const { role = 'any', force } = options
  printMembers(seen, { format: 'pretty' }, world.stdout)
  const candidates = withRole(seen, role)
  const given = options.names.filter((name) => candidates.includes(name))
  if (options.names.length > 0 && given.length === 0) refuse(`No ${role} among provided members`)
  const all = action === 'reinitialize' ? [] : candidates
  const names = given.length > 0 ? given : all
  if (names.length === 0 && !force) {
    const question = `Which member do you want to ${action} [${candidates.join(', ')}]?`
    const answer = (await prompt(world, question, '')) ?? ''
    if (!candidates.includes(answer)) refuse(`${answer} is not a member of cluster`)
    names.push(answer)
  }
  const at = await time?.()
  const what = at === undefined ? `${action} members` : `schedule ${action} of members`
  const when = at === undefined ? '' : ` at ${at}`
  if (!force)
    await agree(world, `Are you sure you want to ${what} ${names.join(', ')}${when}?`, `Aborted ${action}`)
  return names
}

export const CTL_ROLES = [
  'leader',
  'primary',
  'standby-leader',
  'replica',
  'standby',
  'any',
  'master',
] as const

/** Names of the members with a role of Patroni's. */
export function withRole(seen: Seen, role: string): string[] {
  const leader = leaderOf(seen)?.name
  const names = seen.document.members.map(({ name }) => name)
  if (role === 'any') return names
  if (role === 'standby-leader') return []
  if (role === 'replica' || role === 'standby') return names.filter((name) => name !== leader)
  return leader === undefined ? [] : [leader]
}

/** Asks as Click does: the default in brackets, taken when nothing is typed. */
export async function prompt(
  world: World,
  question: string,
  otherwise: string | undefined,
): Promise<string | undefined> {
  if (!world.ask)
    refuse(`Cannot ask "${question}": there is no terminal`, 'Give it as an option, or add --force')
  const answer = await world.ask(`${question} [${otherwise ?? ''}]: `)
  if (answer === undefined) refuse('Aborted!')
  return answer.trim() === '' ? otherwise : answer.trim()
}

export async function agree(world: World, question: string, otherwise: string): Promise<void> {
  if (!world.ask)
    refuse(`Cannot ask "${question}": there is no terminal`, 'Add --force to do it without a question')
  const answer = await world.ask(`${question} [y/N]: `)
  if (!/^y(es)?$/i.test(answer?.trim() ?? '')) refuse(otherwise)
}

export function titled(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1)
}
