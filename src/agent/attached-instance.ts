import { Fault, messageOf } from '../std/fault.ts'
import type { InstanceFacts } from '../model/member.ts'
import { ActivityReader } from '../postgres/activity.ts'
import { LiveFactsReader } from '../postgres/facts.ts'
import { SqlSession, type SqlTarget } from '../postgres/sql-session.ts'
import type { CountedInstance } from './activity-watch.ts'

const ASK_MS = 2000

/** A PostgreSQL that somebody else runs: it is watched and reported, and every deed is refused. */
export function createAttachedInstance(target: SqlTarget): CountedInstance {
  const live = new LiveFactsReader(new SqlSession({ target: () => target, name: 'pg-metako' }))
  const activity = new ActivityReader(() => target)
  const refuse = () =>
    Promise.reject(
      new Fault(
        'ATTACHED',
        'Cannot act on PostgreSQL: it is attached, set postgresql.data_dir to have it managed',
      ),
    )
  return {
    inspect: () => Promise.resolve({ directory: 'absent' }),
    facts: async (): Promise<InstanceFacts> => {
      try {
        return { state: 'running', ...(await live.ask(ASK_MS)) }
      } catch (error) {
        return { state: 'unknown', trouble: messageOf(error) }
      }
    },
    initialise: refuse,
    start: refuse,
    promote: refuse,
    timelineOrigin: refuse,
    probeWrite: refuse,
    tryCommit: () => Promise.resolve('refused'),
    syncDisk: refuse,
    roomBytes: refuse,
    stopReceiving: refuse,
    setSynchronousNames: refuse,
    restartWalSenders: refuse,
    configure: refuse,
    judgeParameters: refuse,
    follow: refuse,
    following: () => undefined,
    checkpoint: refuse,
    activity: () => activity.ask(ASK_MS),
    report: () => activity.report(ASK_MS),
    clients: refuse,
    stop: refuse,
    kill: refuse,
    endOfWal: refuse,
    ensureSlots: refuse,
    clone: refuse,
    rewind: refuse,
    keepDiverged: refuse,
    countSetAside: () => Promise.resolve(0),
    removeSetAside: refuse,
    onCrash: () => () => undefined,
  }
}
