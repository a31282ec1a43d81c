import { describe, expect, it } from 'vitest'
import type { ClusterView, MemberView } from '#client'
import { clip, columnsOf, createPaint, pad } from './ansi.ts'
import { connectionsOf, demoNodes } from './demo-layout.ts'
import { drawPicture, type Frame } from './draw-picture.ts'
import { isHealthy, openPrimary } from './observe-cluster.ts'
import { difference } from './screen.ts'
import type { DemoPicture } from './supervisor.ts'

const root = '/home/someone/project/.pg-metako'
const nodes = demoNodes({ count: 3, portBase: 0, folders: { root, dataRoot: root, runRoot: root } })
const frame: Frame = {
  paint: createPaint(true),
  connections: connectionsOf(nodes[0]!, 'abcdefghijklmnop'),
  api: nodes[0]!.api,
  folder: root,
  notice: '',
}

function member(name: string, instance: MemberView['facts']['instance'], lagBytes = 0): MemberView {
  return {
    facts: {
      name,
      host: '127.0.0.1',
      port: 5441,
      apiUrl: 'http://127.0.0.1:8008',
      agentUptimeMs: 1,
      guard: 'idle',
      instance,
      version: '0.1.0',
    },
    reachable: true,
    lagBytes,
  }
}

const running = { state: 'running', timeline: 2 } as const

function viewOf(self: string, members: readonly MemberView[]): ClusterView {
  return {
    scope: 'demo',
    self,
    takenAt: '2026-01-01T00:00:00Z',
    members,
    streams: [],
    record: {
      epoch: 2,
      holder: 'node2',
      incarnation: 'x',
      seq: 9,
      ttlMs: 3000,
      state: 'open',
      reason: 'PRIMARY_CRASHED',
      systemId: '1',
      timeline: 2,
      position: '0/5000',
      chain: [],
    },
    leaseRemainingMs: 2871,
    consensus: { backend: 'raft', hasQuorum: true, term: 1, voters: ['node1', 'node2', 'node3'] },
    stance: '',
    findings: [{ code: 'X', message: 'something to look at '.repeat(8), severity: 'warning' }],
    history: [
      {
        epoch: 2,
        holder: 'node2',
        timeline: 2,
        forkLsn: '0/4000',
        openedAt: '2026-01-01T00:00:00Z',
        reason: 'PRIMARY_CRASHED',
        takeover: 'lease',
      },
    ],
    losses: [],
    queries: [],
    pids: { agent: 1, router: 2 },
    mode: 'managed',
  }
}

function pictureOf(third: MemberView['facts']['instance']): DemoPicture {
  const members = [
    member('node1', { ...running, role: 'standby', streaming: true }, 3 * 1024 * 1024),
    member('node2', { ...running, role: 'primary' }),
    member('node3', third),
  ]
  const views = new Map(nodes.map(({ name }) => [name, viewOf(name, members)]))
  const seen = { views, best: views.get('node2')! }
  return {
    nodes,
    agents: new Map(nodes.map(({ name }, index) => [name, index + 1])),
    seen,
    takesWrites: true,
    healthy: isHealthy(seen, nodes),
    runningForMs: 123_000,
    events: [{ atMs: 0, text: 'node1: the agent ended by SIGKILL, starting it again in 1 s' }],
  }
}

const cloning = pictureOf({
  state: 'cloning',
  clone: { bytesDone: 42 * 1024 * 1024, bytesTotal: 100 * 1024 * 1024, bytesPerSecond: 120 * 1024 * 1024 },
})

describe('live view', () => {
  it('fits into 80 columns and 24 rows, the connection strings whole', () => {
    const lines = drawPicture(cloning, frame, { columns: 80, rows: 24 })
    expect(lines.length).toBeLessThanOrEqual(24)
    const plain = lines.map((line) => line.replaceAll(/\u001b\[[0-9;]*m/g, ''))
    expect(plain.filter((line) => columnsOf(line) > 80 && !line.startsWith('!'))).toEqual([])
    expect(plain).toContain(`write    psql ${frame.connections.primary}`)
    expect(plain.find((line) => line.startsWith('node3'))).toContain('cloning 42 % 120 MB/s')
    expect(plain.find((line) => line.startsWith('node1'))).toMatch(
      /standby +streaming +2 +3 MB +5441 +5433 +8008/,
    )
    expect(plain.find((line) => line.startsWith('lease'))).toMatch(/node2, epoch 2 .* 2871 ms left/)
  })

  it('drops the least important sections on a low terminal, never the members', () => {
    const lines = drawPicture(cloning, frame, { columns: 80, rows: 9 })
    expect(lines.length).toBeLessThanOrEqual(9)
    for (const { name } of nodes) expect(lines.some((line) => line.includes(name))).toBe(true)
  })

  it('calls a cluster healthy only when every standby streams from an open primary', () => {
    expect(cloning.healthy).toBe(false)
    expect(pictureOf({ ...running, role: 'standby', streaming: false }).healthy).toBe(false)
    const whole = pictureOf({ ...running, role: 'standby', streaming: true })
    expect(whole.healthy).toBe(true)
    expect(openPrimary(whole.seen.best)?.facts.name).toBe('node2')
    const silent = { ...whole.seen, views: new Map([...whole.seen.views].slice(1)) }
    expect(isHealthy(silent, nodes)).toBe(false)
    const unrouted = new Map(
      [...whole.seen.views].map(([name, view]) => [name, { ...view, pids: { agent: 1 } }]),
    )
    expect(isHealthy({ ...whole.seen, views: unrouted }, nodes)).toBe(false)
  })

  it('writes only the lines that changed, clears those that went, and leaves the cursor at the end', () => {
    const at = (row: number, text: string) => `\u001b[${row};1H${text}\u001b[K`
    expect(difference(['a', 'b', 'c', 'd'], ['a', 'B', 'c'])).toBe(at(2, 'B') + at(4, '') + at(3, 'c'))
    expect(difference(['a', 'b'], ['a', 'b'])).toBe(at(2, 'b'))
  })

  it('counts columns without escape sequences and closes what it cuts', () => {
    const { good } = createPaint(true)
    expect(columnsOf(good('abc…'))).toBe(4)
    expect(clip(good('abcdef'), 4)).toBe('\u001b[32mabc…\u001b[0m')
    expect(clip('abcd', 4)).toBe('abcd')
    expect(pad(good('ab'), 4)).toBe(`${good('ab')}  `)
  })
})
