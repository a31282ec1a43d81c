import { Fault, messageOf } from '../std/fault.ts'
import type { InstanceFacts } from '../model/member.ts'
import { ActivityReader } from '../postgres/activity.ts'
import { LiveFactsReader } from '../postgres/facts.ts'
import { SqlSession, type SqlTarget } from '../postgres/sql-session.ts'
import type { CountedInstance } from './activity-watch.ts'

const ASK_MS = 2000

type Watched = Pick<CountedInstance, 'facts' | 'activity' | 'report'>

/** A PostgreSQL that somebody else runs: it is watched and reported, and every deed is refused. */
export function createAttachedInstance(target: SqlTarget): CountedInstance {
  const live = new LiveFactsReader(new SqlSession({ target: () => target, name: 'pg-metako' }))
  const activity = new ActivityReader(() => target)
  const why = new Fault(
    'ATTACHED',
    'Cannot act on PostgreSQL: it is attached, set postgresql.data_dir to have it managed',
  )
  return refusingInstance(why, {
    facts: async (): Promise<InstanceFacts> => {
      try {
        return { state: 'running', ...(await live.ask(ASK_MS)) }
      } catch (error) {
        return { state: 'unknown', trouble: messageOf(error) }
      }
    },
    activity: () => activity.ask(ASK_MS),
    report: () => activity.report(ASK_MS),
  })
}

/** The place of a PostgreSQL on a node that has none. */
export function createWitnessInstance(): CountedInstance {
  const why = new Fault('WITNESS', 'Cannot act on PostgreSQL: this node is a witness and has none')
  return refusingInstance(why, {
    facts: () => Promise.resolve({ state: 'absent' }),
    activity: () => Promise.resolve(undefined),
    report: () => Promise.reject(why),
  })
}

function refusingInstance(why: Fault, watched: Watched): CountedInstance {
  const refuse = () => Promise.reject(why)
  return {
    ...watched,
    inspect: () => Promise.resolve({ directory: 'absent' }),
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
    onConfigured: () => undefined,
  }
}
