import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { serveApi } from '../../../test/support/command-line.ts'
import { FakeOperations } from '../../../test/support/fake-operations.ts'
import { FakeWorld } from '../../../test/support/fake-world.ts'
import { sampleMember, sampleRecord, sampleView } from '../../../test/support/sample-view.ts'
import type { ApiServer } from '../../api/server.ts'
import { runPatronictl } from '../run.ts'
import { timestamp } from './orders.ts'
import { pythonJson } from './output.ts'
import { prettyTable } from './pretty-table.ts'

const TOKEN = 'ctl-test-token'

let operations: FakeOperations
let server: ApiServer
let url: string
let folder: string

beforeEach(async () => {
  folder = mkdtempSync(`${tmpdir()}/pg-metako-ctl-`)
  operations = new FakeOperations(sampleView())
  ;({ server, url } = await serveApi(operations, TOKEN))
})
afterEach(async () => {
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function ctl(words: string, options: ConstructorParameters<typeof FakeWorld>[0] = {}) {
  const env = { PG_METAKO_URL: url, PG_METAKO_TOKEN: TOKEN, ...options.env }
  const world = new FakeWorld({ cwd: folder, ...options, env })
  const code = await runPatronictl(words.split(' '), world)
  return { code, out: world.stdout.text, err: world.stderr.text, questions: world.questions }
}

describe('patronictl list', () => {
  it('has the table that people know', async () => {
    expect((await ctl('list')).out).toBe(
      `+ Cluster: main (7710000000000000001) ----+----+-----------+
| Member | Host     | Role    | State     | TL | Lag in MB |
+--------+----------+---------+-----------+----+-----------+
| n1     | 10.0.0.1 | Leader  | running   |  2 |           |
| n2     | 10.0.0.2 | Replica | streaming |  2 |         0 |
| n3     | 10.0.0.3 | Replica | streaming |  2 |         0 |
+--------+----------+---------+-----------+----+-----------+
`,
    )
  })

  it('shows ports, tags and pending restarts where there are any, and a pause', async () => {
    operations.current = sampleView({
      paused: true,
      members: [
        sampleMember('n1', { facts: { port: 5433 }, instance: { role: 'primary', pendingRestart: ['x'] } }),
        sampleMember('n2', { facts: { tags: { nosync: true } }, instance: { streaming: true } }),
      ],
    })
    expect((await ctl('list main')).out.split('\n').slice(1)).toEqual([
      '| Member | Host          | Role    | State     | TL | Lag in MB | Pending restart | Tags             |',
      '+--------+---------------+---------+-----------+----+-----------+-----------------+------------------+',
      '| n1     | 10.0.0.1:5433 | Leader  | running   |  2 |           | *               |                  |',
      '| n2     | 10.0.0.2:5432 | Replica | streaming |  2 |         0 |                 | {"nosync": true} |',
      '+--------+---------------+---------+-----------+----+-----------+-----------------+------------------+',
      ' Maintenance mode: on',
      '',
    ])
  })

  it('writes what scripts read', async () => {
    expect((await ctl('list -f json')).out).toMatch(
      /^\[\{"Cluster": "main", "Member": "n1", "Host": "10\.0\.0\.1", "Role": "Leader", "State": "running", "TL": 2\}, \{/,
    )
    expect((await ctl('list -f tsv')).out.split('\n').slice(0, 3)).toEqual([
      'Cluster\tMember\tHost\tRole\tState\tTL\tLag in MB',
      'main\tn1\t10.0.0.1\tLeader\trunning\t2\t',
      'main\tn2\t10.0.0.2\tReplica\tstreaming\t2\t0',
    ])
    expect((await ctl('list -f yaml')).out).toContain('- Cluster: main\n  Host: "10.0.0.1"\n  Member: n1\n')
  })

  it('says which cluster it is when another one is named', async () => {
    const { code, err } = await ctl('list other')
    expect([code, err]).toEqual([
      1,
      'Error: Cluster "other" is not the one that this config leads to: that is "main"\n',
    ])
  })

  it('is a tree as topology', async () => {
    const rows = (await ctl('topology')).out.split('\n').slice(3, 6)
    expect(rows.map((row) => row.split('|')[1]?.trimEnd())).toEqual([' n1', ' + n2', ' + n3'])
  })
})

describe('patronictl', () => {
  it('history: what ended, where, why, when and who went on', async () => {
    expect((await ctl('history')).out).toBe(
      `+----+----------+-----------------+--------------------------+------------+
| TL |      LSN | Reason          | Timestamp                | New Leader |
+----+----------+-----------------+--------------------------+------------+
|  1 | 50331976 | PRIMARY_CRASHED | 2026-05-04T02:00:00.000Z | n1         |
+----+----------+-----------------+--------------------------+------------+
`,
    )
  })

  it("dsn: of the leader's PostgreSQL, of a role's, of a member's", async () => {
    expect((await ctl('dsn')).out).toBe('host=10.0.0.1 port=5432\n')
    expect((await ctl('dsn -r replica')).out).toBe('host=10.0.0.2 port=5432\n')
    expect((await ctl('dsn main -m n3')).out).toBe('host=10.0.0.3 port=5432\n')
    expect((await ctl('dsn -m n9')).err).toBe('Error: Can not find a suitable member\n')
    expect((await ctl('dsn -m n1 -r replica')).code).toBe(1)
  })

  it('version: of itself, and of the members where a cluster is named', async () => {
    expect((await ctl('version')).out).toMatch(/^patronictl version [\d.]+\n$/)
    expect((await ctl('version main n2')).out).toMatch(/\n\nn2: pg-metako 0\.1\.0 PostgreSQL 18\.4\n$/)
  })

  it('switchover: asks as it always did, and says what happened', async () => {
    const answers = ['', 'n2', '', 'y']
    const { code, out, questions } = await ctl('switchover', { answers })
    expect(code).toBe(0)
    expect(questions).toEqual([
      'Primary [n1]: ',
      "Candidate ['n2', 'n3'] []: ",
      expect.stringMatching(
        /^When should the switchover take place \(e\.g\. \d{4}-\d\d-\d\dT\d\d:\d\d \)  \[now\]: $/,
      ),
      'Are you sure you want to switchover cluster main, demoting current leader n1? [y/N]: ',
    ])
    expect(out).toMatch(/^Current cluster topology\n\+ Cluster: main/)
    expect(out).toMatch(/\n[\d-]{10} [\d:]{8}\.\d{5} Successfully switched over to "n2"\n\+ Cluster/)
    expect(operations.changes).toEqual(['switchover n1 n2'])
  })

  it('switchover: nothing happens without a yes, or to somebody who is none of them', async () => {
    expect((await ctl('switchover --candidate n2', { answers: ['', 'now', 'n'] })).err).toBe(
      'Error: Aborting switchover\n',
    )
    expect((await ctl('switchover --leader n2 --force')).err).toBe(
      'Error: Member n2 is not the leader of cluster main\n',
    )
    expect((await ctl('switchover --candidate n9 --force')).err).toBe(
      'Error: Member n9 does not exist in cluster main\n',
    )
    expect(operations.changes).toEqual([])
  })

  it('switchover: tells the status and the reason of a refusal', async () => {
    operations.outcome = { kind: 'refused', reason: 'CANDIDATE_NOT_ELIGIBLE', message: 'n2 lags' }
    const { code, err } = await ctl('switchover --candidate n2 --force')
    expect([code, err]).toEqual([1, 'Error: Switchover failed, details: 412, n2 lags\n'])
  })

  it('failover: to a candidate alone', async () => {
    expect((await ctl('failover --force')).err).toBe(
      'Error: Failover could be performed only to a specific candidate\n',
    )
    expect((await ctl('failover --candidate n2 --force')).out).toContain('Successfully failed over to "n2"\n')
    expect((await ctl('failover --leader n1 --candidate n2 --force')).out).toContain('switched over')
  })

  it('restart: the leader last, and only who is meant', async () => {
    const { out } = await ctl('restart main --force')
    expect(out.split('\n').filter((line) => line.startsWith('Success'))).toEqual([
      'Success: restart on member n2',
      'Success: restart on member n3',
      'Success: restart on member n1',
    ])
    expect((await ctl('restart main n2 --pending --force')).out).toMatch(
      /\nFailed: restart for member n2, status code=503, \(restart conditions are not satisfied\)\n$/,
    )
    expect((await ctl('restart main n2 --pg-version 19.1 --force')).out).toContain(
      'Success: restart on member n2',
    )
    expect((await ctl('restart main n2 --pg-version 18.4 --force')).out).toContain('not satisfied')
    expect((await ctl('restart main -r replica --any --force')).out.match(/Success/g)).toHaveLength(1)
    expect((await ctl('restart main --timeout 5 --force')).err).toContain('Cannot limit')
    expect(operations.changes).toEqual(['n2', 'n3', 'n1', 'n2', 'n2'].map((name) => `restart ${name} {}`))
  })

  const LATER = '2099-01-01T00:00:00+00:00'
  const scheduled = {
    switchover: { at: LATER, from: 'n1', to: 'n2' },
    restarts: { n1: { at: LATER, version: 180005 } },
  }

  it('switchover --scheduled: keeps it for then, and shows it', async () => {
    const answers = ['', 'n2', LATER, 'y']
    const schedule = operations.schedule.bind(operations)
    operations.schedule = (wish) => {
      operations.current = sampleView({ scheduled })
      return schedule(wish)
    }
    const { code, out, questions } = await ctl('switchover', { answers })
    expect([code, questions.at(-1)]).toEqual([
      0,
      `Are you sure you want to schedule switchover of cluster main at ${LATER}, demoting current leader n1? [y/N]: `,
    ])
    expect(out).toMatch(/\n[\d-]{10} [\d:]{8}\.\d{5} Switchover scheduled\n\+ Cluster/)
    expect(out).toContain(
      ` Switchover scheduled at: ${LATER}\n                    from: n1\n                      to: n2\n`,
    )
    expect(out).toContain(`| ${LATER} if version < 18.5 |`)
    expect(operations.changes).toEqual([
      `schedule {"kind":"switchover","at":"${LATER}","from":"n1","to":"n2"}`,
    ])
  })

  it('switchover --scheduled: a time without a zone is that of this host, and one that is none is refused', async () => {
    await ctl('switchover --force --scheduled 2099-01-01T00:00')
    const [, at = ''] = /"at":"([^"]+)"/.exec(operations.changes[0] ?? '') ?? []
    expect(Date.parse(at)).toBe(new Date(2099, 0, 1).getTime())
    await ctl('switchover --force --scheduled 2099-01-01')
    expect(operations.changes[1]).toBe(operations.changes[0])
    expect((await ctl('switchover --force --scheduled later')).err).toMatch(
      /^Error: Unable to parse scheduled timestamp \(later\)/,
    )
    for (const zone of ['Z', '+00', '-0330', '+02:00']) {
      const past = await ctl(`switchover --force --scheduled 2020-01-01T00:00${zone}`)
      expect(past.out).toContain('Switchover failed, details: 422, Cannot schedule switchover in the past\n')
    }
    expect((await ctl(`failover --candidate n2 --force --scheduled ${LATER}`)).err).toContain(
      "can't be scheduled",
    )
    operations.current = sampleView({ paused: true })
    expect((await ctl(`switchover --force --scheduled ${LATER}`)).err).toBe(
      "Error: Can't schedule switchover in the paused state\n",
    )
    expect(operations.changes).toHaveLength(2)
  })

  it('restart --scheduled: by the agent of each member, and with force in the place of what was there', async () => {
    const { out } = await ctl(`restart main n1 --pending --scheduled ${LATER}`, { answers: ['y', ''] })
    expect(out).toContain('Success: restart scheduled on member n1\n')
    operations.scheduleOutcome = { kind: 'refused', reason: 'EXISTS', message: '' }
    expect((await ctl(`restart main n1 --force --scheduled ${LATER}`)).out).toContain(
      'Failed: another restart is already scheduled on member n1\n',
    )
    operations.scheduleOutcome = { kind: 'scheduled' }
    operations.current = sampleView({ scheduled })
    expect((await ctl(`restart main n1 --force --scheduled ${LATER}`)).out).toMatch(
      /\nSuccess: flush scheduled restart for member n1\nSuccess: restart scheduled on member n1\n$/,
    )
    expect(operations.changes).toEqual([
      `schedule {"kind":"restart","at":"${LATER}","onlyPending":true}`,
      `schedule {"kind":"restart","at":"${LATER}"}`,
      'unschedule restart',
      `schedule {"kind":"restart","at":"${LATER}"}`,
    ])
  })

  it('flush: calls off what there is', async () => {
    expect((await ctl('flush main switchover')).out).toBe('No pending scheduled switchover\n')
    expect((await ctl('flush main n1 restart --force')).out).toContain('No scheduled restart for member n1\n')
    operations.current = sampleView({ scheduled })
    expect((await ctl('flush main switchover --force')).out).toBe('Success: scheduled switchover deleted\n')
    expect((await ctl('flush main n1 restart --force')).out).toContain(
      'Success: flush scheduled restart for member n1\n',
    )
    expect((await ctl('flush main n1')).err).toContain('wanted restart or switchover')
    operations.unscheduleOutcome = { kind: 'none' }
    expect((await ctl('flush main switchover --force')).out).toBe('Failed: no switchover is scheduled\n')
    expect(operations.changes).toEqual([
      'unschedule switchover',
      'unschedule restart',
      'unschedule switchover',
    ])
  })

  it('reinit: replicas, by name or by answer', async () => {
    expect((await ctl('reinit main n2 --force')).out).toMatch(/\nSuccess: reinitialize for member n2\n$/)
    expect((await ctl('reinit main n1 --force')).err).toBe('Error: No replica among provided members\n')
    const asked = await ctl('reinit main', { answers: ['n3', 'y'] })
    expect(asked.questions).toEqual([
      'Which member do you want to reinitialize [n2, n3]? []: ',
      'Are you sure you want to reinitialize members n3? [y/N]: ',
    ])
    expect(operations.changes).toEqual(['reinit n2', 'reinit n3'])
  })

  it('reinit --wait: until the data is another, and PostgreSQL runs', async () => {
    const waiting = ctl('reinit main n2 --force --wait')
    const { reinit } = operations
    operations.reinit = async (name) => {
      const outcome = await reinit.call(operations, name)
      operations.current = sampleView({
        members: sampleView().members.map((member) =>
          member.facts.name === 'n2' ? sampleMember('n2', { facts: { incarnation: 'new' } }) : member,
        ),
      })
      return outcome
    }
    const { out } = await waiting
    expect(out).toMatch(/Waiting for reinitialize to complete on: n2\nReinitialize is completed on: n2\n$/)
  })

  it('reload, pause, resume, show-config', async () => {
    expect((await ctl('reload main n1 --force')).out).toContain(
      'Reload request received for member n1 and will',
    )
    operations.settings = { pause: true }
    expect((await ctl('show-config')).out).toBe('pause: true\n')
    expect((await ctl('pause')).out).toBe('Success: cluster management is paused\n')
    expect((await ctl('pause')).err).toBe('Error: Cluster is already paused\n')
    expect((await ctl('resume')).out).toBe('Success: cluster management is resumed\n')
    expect((await ctl('resume')).err).toBe('Error: Cluster is not paused\n')
  })

  it('says of what it cannot do why, and what to do instead', async () => {
    for (const words of ['query -c select', 'remove main', 'edit-config']) {
      const { code, err } = await ctl(words)
      expect(code, words).toBe(1)
      expect(err, words).toMatch(/^Error: Cannot .*: .*\nhint: .*\n$/)
    }
    expect((await ctl('-d etcd3://h:2379 list')).err).toMatch(/^Error: Cannot ask the store/)
    expect((await ctl('list --nope')).code).toBe(2)
  })

  it('without a cluster by anybody: says who leads nowhere', async () => {
    operations.current = sampleView({ record: sampleRecord({ state: 'released' }) })
    expect((await ctl('switchover --force')).err).toBe('Error: This cluster has no leader\n')
    expect((await ctl('dsn')).err).toBe('Error: Can not find a suitable member\n')
  })
})

describe('its forms', () => {
  it('cut a title that is longer than the table', () => {
    expect(prettyTable([{ title: 'A' }], [], ' a long title ')).toEqual(['+ a +', '| A |', '+---+'])
  })

  it('are those of Python', () => {
    expect(pythonJson([{ a: 1, b: 'x' }, null])).toBe('[{"a": 1, "b": "x"}, null]')
    expect(timestamp(5, new Date(2026, 4, 4, 3, 2, 1, 123))).toBe('2026-05-04 03:02:01.12300')
  })
})
