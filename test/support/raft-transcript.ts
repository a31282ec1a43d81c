import type { DurableChange } from '../../src/raft/effect.ts'
import { decodeConfiguration } from '../../src/raft/configuration.ts'
import { incarnationOf, nameOf } from '../../src/raft/member-id.ts'
import type { ChangeVerdict, MembershipChange } from '../../src/raft/membership-change.ts'
import type { Entry, Message } from '../../src/raft/message.ts'
import { decodeMessage, encodeMessage } from '../../src/raft/message-codec.ts'
import { neededVersion, OLDEST_VERSION } from '../../src/raft/protocol.ts'
import { wakeAt } from '../../src/raft/on-tick.ts'
import { RAFT_TIMINGS } from '../../src/raft/timing.ts'
import { genesis, RaftNode, type DurableState } from './raft-node.ts'
import type { TranscriptRunner } from './transcript.ts'

/*
 * Runs the transcripts of `raft`. Entries are written index@term. Nothing happens by itself: time passes and messages
 * arrive only where a line says so. Disks answer at once, except where `slow-disk` says otherwise.
 *
 *   members n1 n2 n3 learners=n4      a new group, all members up
 *   disk n1 term=2 vote=n2 log=1,1,2  what n1 finds on its disk; the log as the terms of its entries
 *   start n1 / crash n1               a new life, or the end of one
 *   silence n1                        n1 hears nobody until it asks for an election
 *   pass 500 n1 n2                    time passes; these members (or all) do what is due
 *   wait 500 n1 n2                    the same; only what members decide is printed
 *   deliver n1>n2 n2>n1               what is on its way on these links (or on all) arrives, once
 *   lose n1>n2                        what is on its way there is lost
 *   settle                            everything arrives until all is quiet; only what members decide is printed
 *   cut n3 / heal n3                  nothing reaches or leaves n3
 *   cut-link n1 n2 / heal-link n1 n2  nothing passes between these two
 *   pause n1 / wake n1                n1 does nothing; what arrives waits
 *   join n4#1                         an empty log: a newcomer that knows nobody
 *   change n1 add n4#1                asks n1 for a change of members: add, promote n4, remove n2 [others that go as well]
 *   propose n1 x / read n1 r1 / transfer n1 n2 / compact n1 keep=0 / peer-lost n2 n1
 *   chunks 3                          members that start from now on send a snapshot in pieces of this length
 *   old-release n3 / new-release n3   the program of n3 is that of the protocol version before
 *   slow-disk n1 / sync n1            from now on n1's disk waits for `sync`
 *   status                            how members stand
 */

const LEGEND_ARROW = ' > '

type Letter = { readonly from: string; readonly to: string; readonly message: Message }

class World {
  readonly nodes = new Map<string, RaftNode>()
  readonly disks = new Map<string, DurableState>()
  readonly bodies = new Map<string, string[]>()
  readonly slow = new Set<string>()
  readonly cut = new Set<string>()
  readonly cutLinks = new Set<string>()
  readonly paused = new Set<string>()
  readonly old = new Set<string>()
  changes = 0
  chunkLength = 1024
  now = 0
  lives = 0
  mail: Letter[] = []
  lines: string[] = []
  isQuiet = false

  note(line: string): void {
    this.lines.push(line)
  }

  node(name: string | undefined): RaftNode {
    const node = this.nodes.get(name ?? '')
    if (node === undefined) throw new Error(`"${name}" is not up`)
    return node
  }

  start(name: string): void {
    const durable = this.disks.get(name)
    if (durable === undefined) throw new Error(`"${name}" is no member`)
    this.lives += 1
    this.bodies.set(name, linesOf(durable.snapshot.body))
    const identity = { name, group: 'g', timing: RAFT_TIMINGS.lan, chunkLength: this.chunkLength }
    const options = { ...identity, durable, seed: this.lives, now: this.now }
    const node = new RaftNode(options, {
      send: (to, message) => this.send({ from: name, to, message }),
      applied: (entry) => this.applied(name, entry),
      restored: ({ index, term, body }) => {
        this.bodies.set(name, linesOf(body))
        this.note(`${name} takes the snapshot ${index}@${term}`)
      },
      effect: (effect) => {
        const { kind, ...rest } = effect
        this.note(`${name} ${kind} ${pairs(rest)}`.trimEnd())
      },
    })
    this.nodes.set(name, node)
  }

  send(letter: Letter): void {
    if (!this.isQuiet) this.note(describeLetter(letter))
    if (!this.isCut(letter)) this.mail.push(letter)
  }

  isCut({ from, to }: Letter): boolean {
    return this.cut.has(from) || this.cut.has(to) || this.cutLinks.has(`${from}>${to}`)
  }

  applied(name: string, entry: Entry): void {
    if (entry.kind === 'command') this.bodies.get(name)?.push(entry.body)
    this.note(`${name} applies ${entry.index}@${entry.term} ${describeEntry(entry)}`)
  }

  /** Runs one input and prints what the member decided because of it. */
  act(name: string, run: (node: RaftNode) => void): void {
    const node = this.node(name)
    const before = node.state
    const firstNew = node.changeCount
    run(node)
    const { role, term, leader } = node.state
    if (role !== before.role || term !== before.term) this.note(`${name} is ${role} term=${term}`)
    else if (leader !== before.leader)
      this.note(`${name} ${leader === undefined ? 'has no leader' : `follows ${leader}`}`)
    if (!this.isQuiet || this.slow.has(name)) {
      for (const change of node.unsynced.slice(firstNew))
        this.note(`${name} writes ${describeChange(change)}`)
    }
    if (!this.slow.has(name) && node.changeCount > 0) this.sync(name)
  }

  sync(name: string): void {
    this.act(name, (node) => node.sync(node.changeCount, this.now))
  }

  /** True when something arrived. */
  deliver(links: readonly string[]): boolean {
    const isMeant = ({ from, to }: Letter): boolean =>
      !this.paused.has(to) && (links.length === 0 || links.includes(`${from}>${to}`))
    const arriving = this.mail.filter(isMeant)
    this.mail = this.mail.filter((letter) => !isMeant(letter))
    for (const letter of arriving) {
      const { from, to, message } = letter
      if (this.isCut(letter) || !this.nodes.has(to)) continue
      const decoded = decodeMessage(encodeMessage({ group: 'g', from, to, message }))
      if (decoded.kind === 'refused') throw new Error(`Not readable: ${JSON.stringify(message)}`)
      const { envelope } = decoded
      const version = this.old.has(from) || this.old.has(to) ? OLDEST_VERSION : decoded.version
      if (this.old.has(to) && neededVersion(message) > OLDEST_VERSION)
        throw new Error(`${to} does not know it`)
      const input = { kind: 'message', group: 'g', from, version, message: envelope.message } as const
      this.act(to, (node) => node.input(input, this.now))
    }
    return arriving.length > 0
  }

  tick(name: string): void {
    this.act(name, (node) => node.input({ kind: 'tick' }, this.now))
  }
}

/** A world of its own for one transcript. */
export function newRaftRunner(): TranscriptRunner {
  const world = new World()
  return (line) => {
    world.lines = []
    const [command = '', ...words] = line.trim().split(/\s+/)
    const run = commands.get(command)
    if (run === undefined) throw new Error(`unknown command "${command}"`)
    run(world, words)
    return world.lines.join('\n')
  }
}

const commands = new Map<string, (world: World, words: readonly string[]) => void>([
  ['members', setMembers],
  ['disk', setDisk],
  ['start', (world, names) => names.forEach((name) => world.start(name))],
  ['crash', crash],
  ['silence', silence],
  ['pass', pass],
  ['wait', wait],
  ['deliver', (world, links) => void world.deliver(links)],
  [
    'lose',
    (world, links) =>
      void (world.mail = world.mail.filter(({ from, to }) => !links.includes(`${from}>${to}`))),
  ],
  ['settle', settle],
  ['cut', (world, names) => names.forEach((name) => world.cut.add(name))],
  ['heal', (world, names) => names.forEach((name) => world.cut.delete(name))],
  ['cut-link', (world, names) => linksOf(names).forEach((link) => world.cutLinks.add(link))],
  ['heal-link', (world, names) => linksOf(names).forEach((link) => world.cutLinks.delete(link))],
  ['pause', (world, names) => names.forEach((name) => world.paused.add(name))],
  ['wake', (world, names) => names.forEach((name) => world.paused.delete(name))],
  ['chunks', (world, [length]) => void (world.chunkLength = Number(length))],
  ['old-release', (world, names) => names.forEach((name) => world.old.add(name))],
  ['new-release', (world, names) => names.forEach((name) => world.old.delete(name))],
  ['join', join],
  ['change', change],
  ['propose', propose],
  [
    'read',
    (world, [name, id = '']) => world.act(name ?? '', (node) => node.input({ kind: 'read', id }, world.now)),
  ],
  [
    'transfer',
    (world, [name, to = '']) =>
      world.act(name ?? '', (node) => node.input({ kind: 'transfer', to }, world.now)),
  ],
  [
    'peer-lost',
    (world, [name, peer = '']) =>
      world.act(name ?? '', (node) => node.input({ kind: 'peer-lost', peer }, world.now)),
  ],
  ['compact', compact],
  ['slow-disk', (world, names) => names.forEach((name) => world.slow.add(name))],
  ['sync', (world, [name = '']) => world.sync(name)],
  ['status', status],
])

function setMembers(world: World, words: readonly string[]): void {
  const voters = words.filter((word) => !word.includes('='))
  const learners = words.flatMap((word) => (word.startsWith('learners=') ? word.slice(9).split(',') : []))
  for (const name of [...voters, ...learners]) {
    world.disks.set(name, genesis(voters, learners))
    world.start(name)
  }
}

function join(world: World, names: readonly string[]): void {
  for (const name of names) {
    world.disks.set(name, genesis([]))
    world.start(name)
  }
}

function linksOf([left = '', right = '']: readonly string[]): readonly string[] {
  return [`${left}>${right}`, `${right}>${left}`]
}

function change(world: World, [name = '', kind, whom = '', ...gone]: readonly string[]): void {
  world.changes += 1
  const id = `c${world.changes}`
  const member = nameOf(whom)
  const wanted: MembershipChange | undefined =
    kind === 'add'
      ? { kind: 'add-learner', member, incarnation: incarnationOf(whom) }
      : kind === 'promote'
        ? { kind, member }
        : kind === 'remove'
          ? { kind, member, ...(gone.length > 0 ? { departed: gone } : {}) }
          : undefined
  if (wanted === undefined) throw new Error(`unknown change "${kind}"`)
  world.act(name, (node) => node.input({ kind: 'change', id, attempt: 1, change: wanted }, world.now))
}

function setDisk(world: World, [name = '', ...words]: readonly string[]): void {
  const old = world.disks.get(name)
  if (old === undefined) throw new Error(`"${name}" is no member`)
  const given = new Map(words.map((word) => word.split('=') as [string, string]))
  const terms = given.get('log')?.split(',') ?? []
  const entries = terms.map((term, index): Entry => {
    return { index: index + 1, term: Number(term), kind: 'command', body: `${name}.${index + 1}@${term}` }
  })
  const term = Number(given.get('term') ?? 0)
  const vote = given.get('vote')
  world.disks.set(name, {
    ...old,
    hardState: vote === undefined ? { term } : { term, vote },
    log: { baseIndex: 0, baseTerm: 0, entries },
  })
  world.start(name)
}

function crash(world: World, names: readonly string[]): void {
  for (const name of names) {
    world.disks.set(name, world.node(name).crash(0))
    world.nodes.delete(name)
  }
}

function silence(world: World, [name = '']: readonly string[]): void {
  const { electionAt, role } = world.node(name).state
  if (role === 'leader') throw new Error(`"${name}" leads`)
  world.now = Math.max(world.now, Math.ceil(electionAt))
  world.tick(name)
}

/** In steps of the next due moment, so that each member acts when it would. */
function pass(world: World, [ms, ...names]: readonly string[]): void {
  const end = world.now + Number(ms)
  const ticking = names.length > 0 ? names : [...world.nodes.keys()].filter((name) => !world.paused.has(name))
  for (;;) {
    const due = ticking.map((name) => ({ name, at: wakeAt(world.node(name).state, world.now) }))
    const next = due.toSorted((left, right) => left.at - right.at)[0]
    if (next === undefined || next.at > end) break
    world.now = Math.max(world.now, next.at)
    world.tick(next.name)
  }
  world.now = end
}

function wait(world: World, words: readonly string[]): void {
  world.isQuiet = true
  pass(world, words)
  world.isQuiet = false
}

function settle(world: World): void {
  world.isQuiet = true
  for (let rounds = 0; world.deliver([]); rounds += 1) {
    if (rounds > 1000) throw new Error('It never becomes quiet')
  }
  world.isQuiet = false
}

function propose(world: World, [name = '', ...bodies]: readonly string[]): void {
  for (const body of bodies)
    world.act(name, (node) => node.input({ kind: 'propose', ticket: 1, body }, world.now))
}

function compact(world: World, [name = '', keep = 'keep=0']: readonly string[]): void {
  const node = world.node(name)
  const body = (world.bodies.get(name) ?? []).join('\n')
  const request = { kind: 'compact', index: node.applied, body, keep: Number(keep.slice(5)) } as const
  world.act(name, () => node.input(request, world.now))
}

function status(world: World): void {
  for (const [name, { state }] of world.nodes) {
    const last = state.log.entries.at(-1)
    const end =
      last === undefined ? `${state.log.baseIndex}@${state.log.baseTerm}` : `${last.index}@${last.term}`
    world.note(
      `${name} ${state.removedAt === undefined ? state.role : 'removed'} ${pairs({ term: state.term, vote: state.vote, leader: state.leader, commit: state.commit })} last=${end}`,
    )
  }
}

function describeLetter({ from, to, message }: Letter): string {
  const { kind, ...rest } = message
  return `${from}${LEGEND_ARROW}${to} ${kind} ${pairs(rest)}`
}

function describeChange(change: DurableChange): string {
  switch (change.kind) {
    case 'hard-state':
      return pairs({ ...change.hardState })
    case 'entries':
      return `entries ${change.entries.map(({ index, term }) => `${index}@${term}`).join(' ')}`
    case 'snapshot':
      return `snapshot ${change.snapshot.index}@${change.snapshot.term}, log after ${change.log.baseIndex}`
  }
}

/** `name=value …`; pairs of index and term in one word; flags by name. */
function pairs(fields: Readonly<Record<string, unknown>>): string {
  const words = Object.entries(fields).flatMap(([name, value]): string[] => {
    if (value === undefined || value === false) return []
    if (value === true) return [name]
    if (name === 'lastIndex') return [`last=${value}@${fields['lastTerm']}`]
    if (name === 'prevIndex') return [`prev=${value}@${fields['prevTerm']}`]
    if (name === 'lastTerm' || name === 'prevTerm') return []
    if (name === 'entries') {
      const entries = value as readonly Entry[]
      return [`entries=${entries.map(({ index, term }) => `${index}@${term}`).join(',') || 'none'}`]
    }
    if (name === 'change') {
      const { kind, member } = value as MembershipChange
      return [`change=${kind}:${member}`]
    }
    if (name === 'verdict') {
      const verdict = value as ChangeVerdict
      return [verdict.kind === 'done' ? 'done' : `refused ${verdict.reason}: ${verdict.message}`]
    }
    if (name === 'rejected') {
      const { index, hintIndex, hintTerm } = value as { index: number; hintIndex: number; hintTerm: number }
      return [`rejected=${index} hint=${hintIndex}@${hintTerm}`]
    }
    if (name === 'snapshot') {
      const { index, term } = value as { index: number; term: number }
      return [`snapshot=${index}@${term}`]
    }
    if (name === 'body' && 'snapshot' in fields) {
      return [`body="${String(value).replaceAll('\n', '/')}"`]
    }
    return [`${name}=${String(value)}`]
  })
  return words.join(' ')
}

function describeEntry({ kind, body }: Entry): string {
  if (kind === 'noop') return '(noop)'
  if (kind === 'command') return body
  const { voters, learners } = decodeConfiguration(body) ?? { voters: [], learners: [] }
  return `voters=${voters.join(',')}${learners.length > 0 ? ` learners=${learners.join(',')}` : ''}`
}

function linesOf(text: string): string[] {
  return text === '' ? [] : text.split('\n')
}
