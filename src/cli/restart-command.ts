import type { Client, ClusterView, MemberView } from '#client'
import { SECOND } from '../std/units.ts'
import { visibleText } from '../std/visible-text.ts'
import { confirm, outcomeUnknown, requireMember } from './ask-first.ts'
import { awaitView } from './await-view.ts'
import { CommandFailure, EXIT } from './command-failure.ts'
import { connectForChange } from './connect.ts'
import type { Endpoints } from './endpoints.ts'
import { holderOf, memberList } from './member-list.ts'
import { plainReport, printReport, type Format } from './report.ts'
import type { World } from './world.ts'

export type RestartOptions = {
  /** Empty: all of them. */
  readonly names: readonly string[]
  readonly role?: 'primary' | 'replica' | undefined
  /** Only those on which a setting waits for it. */
  readonly pending: boolean
  readonly force: boolean
  readonly format: Format
}

/** A standby that is back streams again before the next one goes down. */
const BACK_MS = 60 * SECOND

/**
 * Restarts the PostgreSQL of members, one after the other: standbys first and the primary last, since a standby must never have less
 * of what a primary's settings ask of it (max_connections and its like).
 */
export async function restart(endpoints: Endpoints, options: RestartOptions, world: World): Promise<void> {
  const { client, view } = await connectForChange(endpoints)
  const chosen = choose(view, options)
  if (chosen.length === 0) throw new CommandFailure(EXIT.failed, 'Nothing is restarted: no member is meant')
  if (!options.force) {
    const question = `Restart PostgreSQL of ${visibleText(chosen.join(', then '), 500)}?`
    await confirm(
      { whether: 'restart PostgreSQL', shown: memberList(view, { asTree: true }), question },
      world,
    )
  }
  const done: { name: string; tookMs: number }[] = []
  for (const [index, name] of chosen.entries()) {
    if (index > 0) await awaitBack(client, chosen[index - 1] as string)
    const hint = 'It may have happened all the same: look at "pg-metako list" before trying again'
    const { tookMs } = await client.restart(name).catch(outcomeUnknown('The restart', hint))
    done.push({ name, tookMs })
    if (options.format === 'pretty')
      world.stdout.write(`${visibleText(`"${name}" restarted in ${tookMs} ms`)}\n`)
  }
  if (options.format === 'pretty') return
  const rows = [['member', 'took_ms'], ...done.map(({ name, tookMs }) => [name, tookMs])]
  printReport(plainReport({ restarted: done }, rows), options.format, world)
}

function choose(view: ClusterView, { names, role, pending }: RestartOptions): readonly string[] {
  const databases = view.members.filter(({ facts }) => !facts.witness)
  const all = databases.map(({ facts }) => facts.name)
  for (const name of names) requireMember(name, all, 'restart its PostgreSQL')
  const holder = holderOf(view)
  const isMeant = ({ facts }: MemberView): boolean =>
    (names.length === 0 || names.includes(facts.name)) &&
    (role === undefined || (facts.name === holder) === (role === 'primary')) &&
    (!pending || (facts.instance.pendingRestart ?? []).length > 0)
  const meant = databases.filter(isMeant).map(({ facts }) => facts.name)
  return [...meant.filter((name) => name !== holder), ...meant.filter((name) => name === holder)]
}

async function awaitBack(client: Client, name: string): Promise<void> {
  const isBack = await awaitView(client, BACK_MS, ({ members }) => {
    const { facts, reachable } = members.find((one) => one.facts.name === name) ?? {}
    return reachable === true && facts?.instance.state === 'running' && facts.instance.streaming === true
  })
  if (isBack) return
  throw new CommandFailure(
    EXIT.failed,
    `Stopped: "${visibleText(name)}" runs again and does not stream after ${BACK_MS / SECOND} s; the others were not touched`,
    'See "pg-metako list" and its log; then restart the others by name',
  )
}
