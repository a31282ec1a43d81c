import { rmSync } from 'node:fs'
import { createServer as createUnixServer, type Socket } from 'node:net'
import { createHttpServer } from '../../src/platform/net.ts'
import { createLogger } from '../../src/platform/log.ts'
import { monotonicMs } from '../../src/platform/clock.ts'
import { every } from '../../src/platform/timers.ts'
import { PEER_PROTOCOL, PeerLink } from '../../src/agent/peer-link.ts'
import { serveUpgrades } from '../../src/api/upgrades.ts'
import { createRaftStore } from '../../src/store/raft/raft-store.ts'
import type { Store } from '../../src/store/store.ts'
import { messageOf } from '../../src/std/fault.ts'
import type { StoreHostSetup, StoreReply, StoreRequest } from './store-host-protocol.ts'

/**
 * A process of its own around one member of the raft store, with the agents' peer link as its network: what kill -9, SIGSTOP
 * and cut cables do to it they do to an agent's consensus. Clients speak JSON lines over a Unix socket.
 */
const setup = JSON.parse(process.argv[2] ?? '{}') as StoreHostSetup
/** Peers must hear something all the time; in an agent these are the heartbeats of the node. */
const WORD_EVERY_MS = 100

const log = createLogger({ level: 'warn' })
const link = new PeerLink({ log, now: monotonicMs }, { self: setup.self, secret: 'test', scope: 'test' })
link.setPeers({ ownIncarnation: '', peers: setup.peers, removed: [] })
const server = createHttpServer()
serveUpgrades(server).on(PEER_PROTOCOL, (socket, head, headers) => link.accept(socket, head, headers))
server.listen(setup.listen.port, setup.listen.host)
link.start()
every(WORD_EVERY_MS, () => {
  for (const { name } of setup.peers) link.send(name, 'heartbeat', new Uint8Array())
})

const store = createRaftStore(
  {
    log,
    transport: {
      send: (peer, message) => void link.send(peer, 'raft', message),
      onMessage: (listener) => link.onFrame('raft', listener),
      onPeerLost: (listener) => link.onLost(listener),
    },
    onFatal: (thrown) => {
      process.stderr.write(`fatal: ${messageOf(thrown)}\n`)
      process.exit(70)
    },
  },
  { self: setup.self, folder: setup.folder },
)

if (setup.http !== undefined) serveHttp(setup.http, store)
// With `--cpu-prof` the profile is written at the exit.
process.once('SIGTERM', () => process.exit(0))
rmSync(setup.socket, { force: true })
createUnixServer((client) => serve(client, store)).listen(setup.socket)

function serve(client: Socket, answering: Store): void {
  client.setEncoding('utf8')
  client.on('error', () => client.destroy())
  let rest = ''
  client.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const request = JSON.parse(line) as StoreRequest
      void answer(request, answering).then((reply) => {
        if (!client.destroyed) client.write(`${JSON.stringify(reply)}\n`)
      })
    }
  })
}

async function answer(request: StoreRequest, answering: Store): Promise<StoreReply> {
  const { id } = request
  try {
    switch (request.kind) {
      case 'read': {
        const read = setup.staleReads
          ? { revision: answering.status().appliedRevision, entries: answering.peekPrefix(request.prefix) }
          : await answering.read(request.prefix, { deadlineMs: request.deadlineMs })
        return { id, kind: 'read', read }
      }
      case 'transact': {
        const result = await answering.transact(request.transaction, { deadlineMs: request.deadlineMs })
        return { id, kind: 'done', result }
      }
      case 'status':
        return { id, kind: 'status', status: answering.status() }
    }
  } catch (error) {
    const { code = '', details = {} } = error as { code?: string; details?: Record<string, unknown> }
    return { id, kind: 'failed', code, message: messageOf(error), details }
  }
}

/** A transaction by HTTP, for clients that must not know what they speak to. */
function serveHttp(at: { readonly host: string; readonly port: number }, answering: Store): void {
  createHttpServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const asked = JSON.parse(Buffer.concat(chunks).toString('utf8')) as StoreRequest
      void answer(asked, answering).then((reply) => {
        response.writeHead(reply.kind === 'failed' ? 503 : 200, { 'content-type': 'application/json' })
        response.end(JSON.stringify(reply))
      })
    })
  }).listen(at.port, at.host)
}
