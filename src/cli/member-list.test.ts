import { describe, expect, it } from 'vitest'
import { FakeWorld } from '../../test/support/fake-world.ts'
import { sampleMember, sampleRecord, sampleView } from '../../test/support/sample-view.ts'
import { memberList } from './member-list.ts'
import { printReport, type Format } from './report.ts'

function text(
  view = sampleView(),
  options: { asTree?: boolean; format?: Format; world?: FakeWorld } = {},
): string {
  const world = options.world ?? new FakeWorld({})
  printReport(memberList(view, { asTree: options.asTree ?? false }), options.format ?? 'pretty', world)
  return `\n${world.stdout.text}`
}

const troubled = () =>
  sampleView({
    members: [
      sampleMember('n1', { instance: { role: 'primary', pendingRestart: ['max_connections'] } }),
      sampleMember('n2', {
        instance: {
          state: 'cloning',
          clone: {
            bytesDone: 42 * 1024 * 1024,
            bytesTotal: 100 * 1024 * 1024,
            bytesPerSecond: 12 * 1024 * 1024,
          },
        },
      }),
      sampleMember('n3', { reachable: false, heardMsAgo: 63_000, instance: { streaming: true } }),
    ],
    findings: [{ code: 'MEMBER_SILENT', message: 'n3 has been silent for 63 s', severity: 'warning' }],
  })

describe('the member list', () => {
  it('shows every member with role, state, timeline, lag and who holds the lease', () => {
    expect(text()).toBe(`
+ Cluster: main (7710000000000000001) ---------+----+-------+-------------+
| Member | Host          | Role    | State     | TL |   Lag | Notes       |
+--------+---------------+---------+-----------+----+-------+-------------+
| n1     | 10.0.0.1:5432 | primary | running   |  2 |       | holds lease |
| n2     | 10.0.0.2:5432 | standby | streaming |  2 |   0 B |             |
| n3     | 10.0.0.3:5432 | standby | streaming |  2 | 256 B |             |
+--------+---------------+---------+-----------+----+-------+-------------+
Epoch 2, n1 holds the lease for 2.4 s more | raft: leader n2, term 5, 3 voters, quorum | seen from n1
`)
  })

  it('says what is wrong with a member, and with the cluster', () => {
    expect(text(troubled())).toBe(`
+ Cluster: main (7710000000000000001) -----------+----+---------+-----------------------------------------------+
| Member | Host          | Role    | State       | TL |     Lag | Notes                                         |
+--------+---------------+---------+-------------+----+---------+-----------------------------------------------+
| n1     | 10.0.0.1:5432 | primary | running     |  2 |         | holds lease; pending restart: max_connections |
| n2     | 10.0.0.2:5432 | standby | cloning     |  2 |         | cloning 42 %, 12 MB/s                         |
| n3     | 10.0.0.3:5432 | standby | unreachable |  2 | unknown | silent for 1 min 3 s                          |
+--------+---------------+---------+-------------+----+---------+-----------------------------------------------+
Epoch 2, n1 holds the lease for 2.4 s more | raft: leader n2, term 5, 3 voters, quorum | seen from n1
warning: n3 has been silent for 63 s (MEMBER_SILENT)
`)
  })

  it('draws boxes and colours on a terminal that can', () => {
    const world = new FakeWorld({ terminal: true, env: { LANG: 'ko_KR.UTF-8' } })
    const bold = (shown: string) => `\u001b[1m${shown}\u001b[0m`
    expect(text(sampleView(), { world }).split('\n').slice(1, 5)).toEqual([
      '┌ Cluster: main (7710000000000000001) ─────────┬────┬───────┬─────────────┐',
      `│ ${['Member', 'Host         ', 'Role   ', 'State    ', 'TL', '  Lag', 'Notes      '].map(bold).join(' │ ')} │`,
      '├────────┼───────────────┼─────────┼───────────┼────┼───────┼─────────────┤',
      `│ ${bold('n1    ')} │ 10.0.0.1:5432 │ \u001b[32mprimary\u001b[0m │ running   │  2 │       │ holds lease │`,
    ])
  })

  it('draws plain ASCII on a terminal that cannot, and no colours where they are unwanted', () => {
    const world = new FakeWorld({ terminal: true, env: { LANG: 'C', NO_COLOR: '1' } })
    expect(text(sampleView(), { world })).toBe(text())
  })

  it('cuts the notes to the width of the terminal', () => {
    const world = new FakeWorld({ terminal: true, columns: 82, env: { NO_COLOR: '1' } })
    const lines = text(troubled(), { world }).split('\n')
    for (const line of lines.filter((one) => /^[+|]/.test(one))) expect(line.length).toBeLessThanOrEqual(82)
  })

  it('says so while nobody holds the lease, and when consensus has no majority', () => {
    const view = sampleView({
      leaseRemainingMs: 0,
      consensus: { ...sampleView().consensus, hasQuorum: false },
    })
    expect(text(view)).toContain('nobody holds the lease (last: n1)')
    expect(text(view)).toContain('NO QUORUM')
    expect(text(view)).not.toContain('holds lease ')
    const released = sampleView({ record: sampleRecord({ state: 'released' }) })
    expect(text(released)).toContain('nobody holds the lease')
  })

  it('can be drawn before there is anything', () => {
    const { record: _none, ...rest } = sampleView({ members: [], leaseRemainingMs: 0, history: [] })
    expect(text(rest)).toContain('Cluster: main (not initialised)')
    expect(text(rest)).toContain('No epoch yet')
  })

  it('never lets a name or a message steer the terminal', () => {
    const view = sampleView({
      scope: 'a\u001b]0;x\u0007',
      members: [sampleMember('n1\u001b[2J', { instance: { trouble: 'bad\r\nline\u009b' } })],
      findings: [{ code: 'X', message: '\u001b[31mred', severity: 'info' }],
    })
    for (const format of ['pretty', 'tsv'] as const)
      expect(text(view, { format })).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/)
  })
})

describe('the topology', () => {
  it('indents every standby under the member that it streams from', () => {
    const view = sampleView({
      members: [
        sampleMember('n1', { instance: { streaming: true, upstreamHost: '10.0.0.2' } }),
        sampleMember('n2', { instance: { role: 'primary' } }),
        sampleMember('n3', { instance: { streaming: true, upstreamHost: '10.0.0.1' } }),
      ],
    })
    const names = text(view, { asTree: true })
      .split('\n')
      .filter((line) => line.startsWith('|'))
      .map((line) => line.split('|')[1]?.trimEnd())
    expect(names).toEqual([' Member', ' n2', ' + n1', '   + n3'])
  })

  it('shows everybody also when two stream from each other', () => {
    const view = sampleView({
      members: [
        sampleMember('n1', { instance: { upstreamHost: '10.0.0.2' } }),
        sampleMember('n2', { instance: { upstreamHost: '10.0.0.1' } }),
      ],
    })
    expect(text(view, { asTree: true })).toContain('n1')
    expect(text(view, { asTree: true })).toContain('n2')
  })
})

describe('the other forms', () => {
  it('tsv has a head and plain units', () => {
    const [head, first, , third] = text(sampleView(), { format: 'tsv' }).slice(1).split('\n')
    expect(head).toBe('member\thost\tport\trole\tstate\ttimeline\tlag_bytes\tnotes')
    expect(first).toBe('n1\t10.0.0.1\t5432\tprimary\trunning\t2\t\tholds lease')
    expect(third).toBe('n3\t10.0.0.3\t5432\tstandby\tstreaming\t2\t256\t')
  })

  it('json has everything', () => {
    expect(JSON.parse(text(sampleView(), { format: 'json' }))).toMatchObject({
      cluster: 'main',
      systemId: '7710000000000000001',
      epoch: 2,
      lease: { holder: 'n1', remainingMs: 2400 },
      members: [
        { member: 'n1', role: 'primary', notes: ['holds lease'] },
        { member: 'n2' },
        { member: 'n3', lag: 256 },
      ],
    })
  })
})
