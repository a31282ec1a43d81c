import type { NodeFacts } from '#client'
import { error, note, ok, warning, type Check, type Judgement } from '../diagnosis.ts'

export const instance: Check<NodeFacts> = {
  name: 'instance',
  about: 'PostgreSQL runs, answers, and can write',
  judge: (facts) => [...running(facts), ...writing(facts)],
}

function running({ member, database, databaseTrouble, setup }: NodeFacts): readonly Judgement[] {
  if (!member || setup.mode === 'witness') return []
  const { state, role, trouble } = member.instance
  if (state !== 'running') {
    const isBusy = ['initialising', 'cloning', 'rewinding', 'starting'].includes(state)
    const evidence = `PostgreSQL is ${state}${trouble === undefined ? '' : `: ${trouble}`}`
    if (isBusy) return [note('INSTANCE_BUSY', evidence)]
    return [
      error(
        'INSTANCE_DOWN',
        evidence,
        `Ask what it waits for: pg-metako why ${member.name}; its log says why it ended`,
      ),
    ]
  }
  if (setup.mode === 'attached')
    return [
      warning(
        'ATTACHED',
        'this agent only watches its PostgreSQL: nothing here fails over',
        'Set postgresql.data_dir, so that the agent manages it',
      ),
    ]
  if (!database)
    return [
      error(
        'INSTANCE_SILENT',
        `PostgreSQL runs and does not answer its agent: ${databaseTrouble ?? 'no answer'}`,
        'Look whether connections are left (max_connections) and whether its disk hangs; PostgreSQL writes why into its log',
      ),
    ]
  const said = trouble === undefined ? [] : [note('INSTANCE_TROUBLE', `the last trouble was: ${trouble}`)]
  return [...said, ok('INSTANCE_RUNS', `PostgreSQL runs as ${role ?? 'nobody knows what'}`)]
}

function writing({ member }: NodeFacts): readonly Judgement[] {
  if (!member?.writePath) return []
  const { state, latencyMs } = member.writePath
  const tried = latencyMs === undefined ? '' : ` (the last try took ${latencyMs} ms)`
  switch (state) {
    case 'good':
    case 'unknown':
      return []
    case 'slow':
      return [
        warning(
          'WRITES_SLOWLY',
          `writing works and is slow${tried}: such a member takes over from nobody`,
          'Find out what keeps the disk of the WAL busy: iostat -x 1',
        ),
      ]
    case 'stalled':
      return [
        error(
          'WRITE_STALLED',
          `a try to write does not come back${tried}`,
          'The disk of the WAL hangs: see dmesg',
        ),
      ]
    case 'full':
      return [
        error(
          'DISK_FULL',
          'there is too little room to write',
          'Make room on the disk of the data directory; see whether a slot keeps WAL: pg-metako doctor says so under slots',
        ),
      ]
    case 'no-slot':
      return [
        error(
          'NO_CONNECTION_SLOTS',
          'PostgreSQL lets nobody in any more, not even its agent',
          'End sessions, or raise max_connections; let applications use the pooled port',
        ),
      ]
  }
}
