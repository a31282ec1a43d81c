import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { findDatabaseUser } from '../../src/platform/os-user.ts'
import { findEmbeddedPackage, usableEmbeddedFolder } from '../../src/postgres/embedded-package.ts'
import type { ProfileName } from '../../src/ha/policy.ts'
import { Arena, type ScheduleReport } from './arena.ts'
import { SCHEDULED_MS } from './calm.ts'
import { addToLedger, stampNow, WITH_WITNESS } from './ledger.ts'
import { describeStalls } from './planned.ts'
import { drawSchedule, KINDS, withUpgrade, type DrawnKind } from './schedule.ts'
import { MODES, type Mode } from '../support/replication-mode.ts'
import { toolOptions } from '../support/tool-options.ts'

/*
 * `npm run chaos -- --calm --minutes N --profile P`: bad weather that is no reason for a failover.
 * `npm run chaos -- --planned --minutes N --every S`: a switchover every S seconds, rolling restarts and changed settings, under load.
 * `npm run chaos -- --mode async|sync|quorum --schedules N --from S`: schedule after schedule on a cluster of real hosts, a fresh
 * one now and then and after a violation. `scripts/chaos.mjs` runs it in namespaces of its own, which end with it.
 */

const FRESH_EVERY = 10
const PROFILES: readonly ProfileName[] = ['lan', 'noisy', 'wan']
const PROVES_NOTHING = 3

type Asked = {
  readonly mode: Mode
  readonly schedules: number
  readonly from: number
  readonly nodes: number
  /** One of three votes and has no database. */
  readonly witness: boolean
  readonly postgres: string
  /** Faults of these kinds alone; absent: as each seed draws. */
  readonly kinds: readonly DrawnKind[] | undefined
  /** The `main.js` of an older build, which each schedule upgrades. */
  readonly older: string | undefined
  /** No schedule is begun after this. */
  readonly minutes: number
  readonly ledger: string | undefined
  /** Between two pieces of planned work. */
  readonly everySeconds: number
  readonly isCalm: boolean
  readonly isPlanned: boolean
  readonly profile: ProfileName
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const say = (line: string): void => void process.stdout.write(`${line}\n`)

function readOptions(): Asked {
  const values = toolOptions('the chaos suite', {
    options: {
      mode: { type: 'string', default: 'quorum' },
      schedules: { type: 'string', default: '10' },
      from: { type: 'string', default: '1' },
      nodes: { type: 'string', default: '3' },
      witness: { type: 'boolean', default: false },
      postgres: { type: 'string', default: '18' },
      kinds: { type: 'string' },
      'upgrade-from': { type: 'string' },
      minutes: { type: 'string' },
      ledger: { type: 'string' },
      calm: { type: 'boolean', default: false },
      planned: { type: 'boolean', default: false },
      every: { type: 'string', default: '60' },
      profile: { type: 'string', default: 'lan' },
    },
  })
  const number = (text: string): number => {
    const value = Number(text)
    if (Number.isFinite(value) && value > 0) return value
    throw new Error(`"${text}" is no number above 0`)
  }
  const mode = MODES.find((one) => one === values.mode)
  if (!mode) throw new Error(`There is no mode "${values.mode}": ${MODES.join(', ')}`)
  const profile = PROFILES.find((one) => one === values.profile)
  if (!profile) throw new Error(`There is no profile "${values.profile}": ${PROFILES.join(', ')}`)
  if (!['3', '5'].includes(values.nodes)) throw new Error(`"${values.nodes}" nodes: wanted 3 or 5`)
  if (values.witness && values.nodes !== '3') throw new Error('A witness is the third of three nodes')
  return {
    mode,
    schedules: number(values.schedules),
    from: number(values.from),
    nodes: number(values.nodes),
    witness: values.witness,
    postgres: values.postgres,
    kinds: values.kinds?.split(',').map(readKind),
    older: values['upgrade-from'],
    minutes: number(values.minutes ?? (values.calm ? '30' : values.planned ? '60' : '720')),
    everySeconds: number(values.every),
    ledger: values.ledger,
    isCalm: values.calm,
    isPlanned: values.planned,
    profile,
  }
}

function readKind(name: string): DrawnKind {
  const kind = KINDS.find((one) => one === name)
  if (!kind) throw new Error(`There is no kind of fault "${name}": ${KINDS.join(', ')}`)
  return kind
}

async function programsOf(major: string): Promise<string> {
  const folder = `/usr/lib/postgresql/${major}/bin`
  if (existsSync(join(folder, 'postgres'))) return folder
  const embedded = findEmbeddedPackage()
  if (embedded.kind === 'unsupported') throw new Error(embedded.reason)
  if (!embedded.package.version.startsWith(`${major}.`))
    throw new Error(`PostgreSQL ${major} is not installed`)
  return usableEmbeddedFolder(embedded.package, findDatabaseUser({}))
}

/** G5 under noise. The code is 0 when nobody took over and the primary's agent was never late, which alone proves something. */
async function calm(asked: Asked, binDir: string): Promise<number> {
  const { mode, profile, minutes, from } = asked
  const arena = await Arena.open({ ...asked, older: undefined, binDir }, say)
  const endNow = (): void => void arena.close().then(() => process.exit(130))
  for (const signal of SIGNALS) process.once(signal, endNow)
  try {
    const { failovers, lateMs, pauses, violations } = await arena.calm(from, minutes * 60_000)
    const isLate = lateMs > SCHEDULED_MS
    say(
      `calm ${mode} ${profile}, seed ${from}, ${minutes} minutes: ${failovers} needless failovers in ${pauses} pauses; the primary's agent was never away for longer than ${lateMs.toFixed(0)} ms${isLate ? `, wanted ${SCHEDULED_MS}: PROVES NOTHING` : ''}`,
    )
    for (const violation of violations) say(`  VIOLATION ${violation}`)
    if (violations.length === 0 && failovers === 0) return isLate ? PROVES_NOTHING : 0
    say(`  kept in ${arena.keep(from, { failovers, lateMs, violations })}`)
    return violations.length === 0 && isLate ? PROVES_NOTHING : 1
  } finally {
    await arena.close()
  }
}

/** What planned work costs applications. The code is 0 when nothing was lost. */
async function planned(asked: Asked, binDir: string): Promise<number> {
  const { mode, minutes, everySeconds } = asked
  const arena = await Arena.open({ ...asked, older: undefined, binDir }, say)
  const endNow = (): void => void arena.close().then(() => process.exit(130))
  for (const signal of SIGNALS) process.once(signal, endNow)
  try {
    const report = await arena.planned(minutes * 60_000, everySeconds * 1000)
    const { switchovers, restarts, changes, stalls, acknowledged, errors, pgbenchEnded, violations } = report
    say(
      `planned ${mode}, ${minutes} minutes: ${switchovers} switchovers, ${restarts} rolling restarts, ${changes} changes of max_connections; ${acknowledged} acknowledged`,
    )
    say(
      `  stalls of a switchover: 5433 ${describeStalls(stalls.primary)}; 6432 ${describeStalls(stalls.pooled)}`,
    )
    for (const [what, times] of Object.entries(errors)) say(`  ${times} times ${what}`)
    say(`  pgbench on 6432 ended ${pgbenchEnded.length} times`)
    for (const complaint of pgbenchEnded) say(`    ${complaint.replaceAll('\n', ' | ')}`)
    for (const violation of violations) say(`  VIOLATION ${violation}`)
    if (violations.length > 0) say(`  kept in ${arena.keep(asked.from, report)}`)
    return violations.length === 0 ? 0 : 1
  } finally {
    await arena.close()
  }
}

async function main(): Promise<number> {
  const asked = readOptions()
  const binDir = await programsOf(asked.postgres)
  if (asked.isCalm) return calm(asked, binDir)
  if (asked.isPlanned) return planned(asked, binDir)
  const stamp = stampNow()
  const began = performance.now()
  const sum = { clean: 0, violations: 0, acknowledged: 0, missing: 0, staleReads: 0 }
  let arena: Arena | undefined
  let used = 0
  let next = asked.from
  /** What a cluster had counted when its last schedule ended: its reports add up from its birth. */
  let before = { acknowledged: 0, missing: 0, staleReads: 0 }
  const end = async (): Promise<void> => {
    await arena?.close()
    arena = undefined
    used = 0
    before = { acknowledged: 0, missing: 0, staleReads: 0 }
  }
  const endNow = (): void => void end().then(() => process.exit(130))
  for (const signal of SIGNALS) process.once(signal, endNow)
  try {
    for (; next < asked.from + asked.schedules; next += 1) {
      if (performance.now() - began > asked.minutes * 60_000) break
      const drawn = drawSchedule({ seed: next, nodes: asked.nodes, kinds: asked.kinds })
      const schedule = asked.older === undefined ? drawn : withUpgrade(drawn)
      say(`${asked.mode} ${next}: ${schedule.faults.length} faults`)
      arena ??= await Arena.open({ ...asked, binDir }, say)
      const begun = performance.now()
      const report = await arena.run(schedule)
      used += 1
      for (const key of ['acknowledged', 'missing', 'staleReads'] as const)
        sum[key] += report[key] - before[key]
      before = report
      say(`  ${describeReport(report)}, ${((performance.now() - begun) / 1000).toFixed(1)} s`)
      if (report.violations.length > 0) {
        sum.violations += 1
        for (const violation of report.violations) say(`  VIOLATION ${violation}`)
        say(`  kept in ${arena.keep(next, { schedule, ...report })}`)
        say(`  again: npm run chaos -- ${againOf(asked, next)}`)
      } else sum.clean += 1
      if (report.violations.length > 0 || used >= (asked.older === undefined ? FRESH_EVERY : 1)) await end()
    }
  } finally {
    await end()
  }
  const seconds = (performance.now() - began) / 1000
  say(
    `${asked.mode}: ${sum.clean} clean, ${sum.violations} violations, schedules ${asked.from} to ${next - 1}, ${sum.acknowledged} acknowledged, ${sum.missing} lost and reported, ${sum.staleReads} stale reads, ${seconds.toFixed(0)} s`,
  )
  // The ledger adds up schedules that a seed draws by itself.
  if (
    asked.ledger !== undefined &&
    asked.kinds === undefined &&
    asked.older === undefined &&
    next > asked.from
  ) {
    const nodes = asked.witness ? WITH_WITNESS : String(asked.nodes)
    addToLedger(asked.ledger, { ...asked, nodes, ...sum, ...stamp, to: next - 1, seconds })
  }
  return sum.violations === 0 ? 0 : 1
}

/** What makes a schedule once more. */
function againOf({ mode, nodes, witness, postgres, kinds, older }: Asked, seed: number): string {
  const only = kinds ? ` --kinds ${kinds.join()}` : ''
  const from = older === undefined ? '' : ` --upgrade-from ${older}`
  return `--mode ${mode} --from ${seed} --schedules 1 --nodes ${nodes}${witness ? ' --witness' : ''} --postgres ${postgres}${only}${from}`
}

function describeReport(report: ScheduleReport): string {
  const { violations, acknowledged, unanswered, missing, staleReads, staleMs, epochs, faultsMs, healedMs } =
    report
  return `${violations.length === 0 ? 'clean' : 'VIOLATED'}: since the cluster's birth ${acknowledged} acknowledged, ${unanswered} not, ${missing} lost, ${staleReads} stale reads (${Math.round(staleMs)} ms at most); ${epochs} epochs on, faults for ${(faultsMs / 1000).toFixed(1)} s, whole ${(healedMs / 1000).toFixed(1)} s later`
}

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`Cannot run chaos: ${error instanceof Error ? error.stack : String(error)}\n`)
  process.exitCode = 2
}
