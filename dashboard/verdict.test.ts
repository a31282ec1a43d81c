import { describe, expect, it } from 'vitest'
import { sampleMember, sampleRecord, sampleView } from '../test/support/sample-view.ts'
import { verdictOf } from './verdict.ts'

const acks = [
  {
    epoch: 2,
    holder: { name: 'n1', incarnation: 'a1' },
    rule: {
      k: 1,
      members: [
        { name: 'n2', incarnation: 'x' },
        { name: 'n3', incarnation: 'y' },
      ],
    },
  },
]
const primary = sampleMember('n1', { instance: { role: 'primary' } })
const streaming = (name: string) => sampleMember(name, { instance: { streaming: true } })

describe('the one glance', () => {
  it('says who takes writes, how many run and on how many disks a commit is', () => {
    expect(verdictOf(sampleView({ record: sampleRecord({ acks }) }))).toEqual({
      tone: 'good',
      headline: 'Writes flow to n1',
      detail: '3 of 3 members run; each commit is on 1 more disk before it is acknowledged',
      troubles: [],
    })
    expect(verdictOf(sampleView()).detail).toContain('commits wait for no standby')
  })

  it.each(['pledging', 'authorised', 'released'] as const)(
    'says that nobody is primary while the epoch is %s',
    (state) => {
      const { tone, headline } = verdictOf(sampleView({ record: sampleRecord({ state }) }))
      expect({ tone, headline }).toEqual({
        tone: 'critical',
        headline: 'No primary: a take-over is under way',
      })
    },
  )

  it('never says that writes flow to a primary that is silent, down, stalled or full', () => {
    const broken = [
      sampleMember('n1', { reachable: false, instance: { role: 'primary' } }),
      sampleMember('n1', { instance: { role: 'primary', state: 'crashed' } }),
      sampleMember('n1', { instance: { role: 'standby' } }),
      sampleMember('n1', { instance: { role: 'primary' }, facts: { writePath: { state: 'stalled' } } }),
      sampleMember('n1', { instance: { role: 'primary' }, facts: { writePath: { state: 'full' } } }),
    ]
    for (const member of broken) {
      const { tone, headline } = verdictOf(
        sampleView({ members: [member, streaming('n2'), streaming('n3')] }),
      )
      expect(tone).toBe('critical')
      expect(headline).toMatch(/^Writes do not flow: .*n1/)
    }
  })

  it('says of itself that it is cut off, whom it hears, and how old the rest is', () => {
    const { consensus } = sampleView()
    const view = sampleView({
      self: 'n3',
      consensus: { ...consensus, hasQuorum: false },
      members: [
        sampleMember('n1', { reachable: false, heardMsAgo: 12_000 }),
        sampleMember('n2', { reachable: false, heardMsAgo: 9_000 }),
        sampleMember('n3', {}),
      ],
    })
    const { tone, headline, detail } = verdictOf(view)
    expect({ tone, headline }).toEqual({ tone: 'critical', headline: 'n3 is cut off from the majority' })
    expect(detail).toBe(
      'It hears nobody; the others may have another primary by now. What it shows of the others is 12 s old.',
    )
  })

  it('goes on saying that writes flow when a standby is lost, names it, and says what to do', () => {
    const lost = sampleMember('n3', { reachable: false, heardMsAgo: 4000 })
    const { tone, headline, troubles } = verdictOf(sampleView({ members: [primary, streaming('n2'), lost] }))
    expect({ tone, headline }).toEqual({ tone: 'warning', headline: 'Writes flow to n1' })
    expect(troubles).toEqual([
      {
        tone: 'warning',
        member: 'n3',
        text: 'n3 was not heard for 4 s',
        advice: expect.stringContaining('systemctl start pg-metako'),
      },
    ])
  })

  it('puts the worst first, and tells each thing once', () => {
    const findings = [
      { code: 'MEMBER_SILENT', severity: 'warning' as const, message: 'Not heard: n3' },
      {
        code: 'COMMITS_UNPROTECTED',
        severity: 'critical' as const,
        message: 'No standby has what is committed now',
      },
    ]
    const lost = sampleMember('n3', { reachable: false, heardMsAgo: 4000 })
    const { troubles } = verdictOf(sampleView({ findings, members: [primary, streaming('n2'), lost] }))
    expect(troubles.map(({ text }) => text)).toEqual([
      'No standby has what is committed now',
      'n3 was not heard for 4 s',
    ])
  })

  it('blames no standby for not streaming from a primary that is down', () => {
    const members = [
      sampleMember('n1', { instance: { role: 'primary', state: 'crashed' } }),
      sampleMember('n2', { instance: { streaming: false } }),
      sampleMember('n3', { instance: { streaming: false } }),
    ]
    expect(verdictOf(sampleView({ members, streams: [] })).troubles.map(({ text }) => text)).toEqual([
      'PostgreSQL of n1 is crashed',
    ])
    const [, ...standbys] = members
    const { troubles } = verdictOf(sampleView({ members: [primary, ...standbys], streams: [] }))
    expect(troubles.map(({ text }) => text)).toEqual(['n2 does not stream', 'n3 does not stream'])
  })

  it('shows how far a copy has come', () => {
    const clone = { bytesDone: 250, bytesTotal: 1000, bytesPerSecond: 10 }
    const coming = sampleMember('n3', { instance: { state: 'cloning', clone } })
    const { tone, troubles } = verdictOf(sampleView({ members: [primary, streaming('n2'), coming] }))
    expect(tone).toBe('good')
    expect(troubles[0]?.text).toBe('n3 comes back: it is cloning (25 %)')
  })

  it('can be drawn before there is a cluster', () => {
    const { record: _none, ...view } = sampleView({ stance: 'waits for node2' })
    expect(verdictOf(view)).toMatchObject({ tone: 'unknown', detail: 'n1 waits for node2' })
  })
})
