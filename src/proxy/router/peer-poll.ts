import type { RoutingTable } from '../../model/routing-table.ts'
import type { Logger } from '../../platform/log.ts'
import { HttpAgent, httpRequest, httpsRequest } from '../../platform/net.ts'
import { after, every } from '../../platform/timers.ts'
import { messageOf } from '../../std/fault.ts'
import { MiB } from '../../std/units.ts'
import { answeredTable, parseTableMessage } from './table-message.ts'

export type PollMember = {
  readonly name: string
  /** e.g. `http://10.0.0.2:8008`. */
  readonly apiUrl: string
}

export type PeerPollDeps = {
  readonly log: Logger
  readonly monotonicMs: () => number
  /** Asked before every round: false while the own agent gives good tables. */
  readonly isNeeded: () => boolean
  readonly onTable: (table: RoutingTable, source: string) => 'accepted' | 'stale'
}

export type PeerPollOptions = {
  readonly members: readonly PollMember[]
  readonly token: string
  readonly everyMs: number
  /** PEM texts: of the authorities that sign the members' certificates, and of what is shown to those that ask for one. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string }
}

export type PeerPoll = {
  /** Drops what is under way: its answer would be counted from a time that proves nothing any more. */
  readonly restart: () => void
  /** From the next round on these are asked. */
  readonly setMembers: (members: readonly PollMember[]) => void
  readonly close: () => void
}

const ANSWER_TIMEOUT_MS = 500
const ANSWER_BYTES_MAX = MiB

/**
 * Asks the other members for the table while the own agent has none. One member at a time: the one that answered last
 * first, the next when its answer is missing, stale or runs out.
 */
export function openPeerPoll(deps: PeerPollDeps, options: PeerPollOptions): PeerPoll {
  const connections = new HttpAgent({ keepAlive: true, maxSockets: 1 })
  let round: AbortController | undefined
  let favourite = 0
  let { members } = options

  async function ask(signal: AbortSignal): Promise<void> {
    for (let step = 0; step < members.length && !signal.aborted; step += 1) {
      const index = (favourite + step) % members.length
      const member = members[index]
      if (!member) continue
      const table = await askMember(member, signal)
      if (!table || signal.aborted) continue
      const accepted = deps.onTable(table, member.name) === 'accepted'
      if (!accepted || table.validUntil <= deps.monotonicMs()) continue
      favourite = index
      return
    }
  }

  async function askMember(member: PollMember, signal: AbortSignal): Promise<RoutingTable | undefined> {
    // Order: the time is taken before the question leaves; what the answer took cannot lengthen the validity.
    const askedAt = deps.monotonicMs()
    try {
      const body = await getBody(member, options, { connections, signal })
      const message = parseTableMessage(JSON.parse(body))
      if (message) return answeredTable(message, askedAt)
      deps.log.warn('A member answered with no routing table', { member: member.name })
    } catch (error) {
      deps.log.debug('No routing table from a member', { member: member.name, cause: messageOf(error) })
    }
    return undefined
  }

  function tick(): void {
    if (round || members.length === 0 || !deps.isNeeded()) return
    const own = new AbortController()
    round = own
    void ask(own.signal).finally(() => {
      if (round === own) round = undefined
    })
  }

  const stop = every(options.everyMs, tick)
  function drop(): void {
    round?.abort()
    round = undefined
  }
  return {
    restart: drop,
    setMembers: (others) => {
      members = others
      favourite = 0
    },
    close: () => {
      stop()
      drop()
      connections.destroy()
    },
  }
}

function getBody(
  member: PollMember,
  options: PeerPollOptions,
  { connections, signal }: { readonly connections: HttpAgent; readonly signal: AbortSignal },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const url = new URL('/v1/routing', member.apiUrl)
    const headers = { authorization: `Bearer ${options.token}` }
    const secure = url.protocol === 'https:'
    const request = secure
      ? httpsRequest(url, { headers, signal, ...options.tls })
      : httpRequest(url, { headers, signal, agent: connections })
    // The whole exchange is bounded, not only its silences.
    const stopTimer = after(ANSWER_TIMEOUT_MS, () =>
      request.destroy(new Error(`no answer in ${ANSWER_TIMEOUT_MS} ms`)),
    )
    request.on('close', stopTimer)
    request.on('error', reject)
    request.on('response', (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > ANSWER_BYTES_MAX) request.destroy(new Error('the answer is too long'))
        else chunks.push(chunk)
      })
      response.on('error', reject)
      response.on('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString('utf8'))
        else reject(new Error(`status ${response.statusCode ?? 'unknown'}`))
      })
    })
    request.end()
  })
}
