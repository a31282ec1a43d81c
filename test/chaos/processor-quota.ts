import { accessSync, constants, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = '/sys/fs/cgroup/cpu'
/** Short against every limit that a host is held to, so that a share is felt as slowness and not as pauses. */
const PERIOD_US = 40_000
/** The kernel's least. */
const QUOTA_MIN_US = 1000
const PROCS = 'cgroup.procs'
const EMPTYING_LOOKS = 50

/** `scripts/chaos.mjs` gives the name, and takes away what a run that was killed left behind. */
const PREFIX = process.env['CHAOS_CGROUP'] ?? `metako-chaos-${process.pid}`

/** Whether a group of processes can be given less of a processor here. */
export function hasQuotas(): boolean {
  try {
    accessSync(join(ROOT, 'cpu.cfs_quota_us'), constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** From now on these processes, and what they start, have so much of one processor together. What is returned ends it. */
export function limitProcessor(name: string, pids: readonly number[], percent: number): () => void {
  const folder = join(ROOT, `${PREFIX}-${name}`)
  mkdirSync(folder, { recursive: true })
  const quota = Math.max(QUOTA_MIN_US, Math.round((PERIOD_US * percent) / 100))
  writeFileSync(join(folder, 'cpu.cfs_period_us'), String(PERIOD_US))
  writeFileSync(join(folder, 'cpu.cfs_quota_us'), String(quota))
  for (const pid of pids) moveTo(folder, pid)
  return () => end(folder)
}

function end(folder: string): void {
  // What is forked meanwhile is in the group too.
  for (let look = 0; look < EMPTYING_LOOKS; look += 1) {
    for (const pid of pidsIn(folder)) moveTo(ROOT, pid)
    try {
      rmdirSync(folder)
      return
    } catch (error) {
      if ((error as { code?: unknown }).code === 'ENOENT') return
    }
  }
  throw new Error(`Cannot end the group ${folder}: processes are left in it`)
}

function pidsIn(folder: string): readonly number[] {
  try {
    return readFileSync(join(folder, PROCS), 'utf8').split('\n').filter(Boolean).map(Number)
  } catch {
    return []
  }
}

/** A process that has ended needs no group. */
function moveTo(folder: string, pid: number): void {
  try {
    writeFileSync(join(folder, PROCS), String(pid))
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ESRCH') throw error
  }
}
