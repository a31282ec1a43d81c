import { createServer, type AddressInfo, type Server } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { sampleMember } from '../../../test/support/sample-view.ts'
import type { MonotonicMs } from '../../model/time.ts'
import { reachablePeers, reachPeer } from './peer-reach.ts'

const LOGIN = { user: 'replicator', password: 'x' }
const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

async function serve(answer: (bytes: Buffer) => Buffer | undefined): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.on('data', (bytes) => {
      const said = answer(bytes)
      if (said) socket.end(said)
    })
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

/** ErrorResponse with severity, SQLSTATE and message. */
function refusal(message: string): Buffer {
  const body = Buffer.from(`SFATAL\0VFATAL\0C28000\0M${message}\0\0`)
  const head = Buffer.alloc(5)
  head.write('E')
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

it('measures the way to an agent, and brings what PostgreSQL says to a connection for replication', async () => {
  const apiPort = await serve(() => undefined)
  const port = await serve(() =>
    refusal('no pg_hba.conf entry for replication connection from host "127.0.0.1"'),
  )
  const peer = { name: 'n2', apiHost: '127.0.0.1', apiPort, postgres: { host: '127.0.0.1', port } }
  const reach = await reachPeer(peer, LOGIN)
  expect(reach).toMatchObject({ name: 'n2', api: `127.0.0.1:${apiPort}`, replication: 'refused' })
  expect(reach.roundTripMs).toBeGreaterThanOrEqual(0)
  expect(reach.replicationTrouble).toContain('no pg_hba.conf entry for replication connection')
})

it('says why an agent is not reached, and tries no PostgreSQL that does not run or is not ours to try', async () => {
  const gone = { name: 'n2', apiHost: '127.0.0.1', apiPort: 1 }
  const reach = await reachPeer(gone, LOGIN)
  expect(reach.apiTrouble).toContain('ECONNREFUSED')
  expect(reach).not.toHaveProperty('roundTripMs')
  expect(reach).not.toHaveProperty('replication')
  expect(
    await reachPeer({ ...gone, postgres: { host: '127.0.0.1', port: 1 } }, undefined),
  ).not.toHaveProperty('replication')
})

it('knows the members by the registry, and where PostgreSQL of those runs that said so', () => {
  const registered = ['n2', 'n3', 'n4'].map((name) => ({ name, host: `${name}.host`, port: 8008 }))
  const heard = [
    { name: 'n2', facts: sampleMember('n2').facts, heardAt: 0 as MonotonicMs },
    {
      name: 'n3',
      facts: sampleMember('n3', { instance: { state: 'crashed' } }).facts,
      heardAt: 0 as MonotonicMs,
    },
  ]
  expect(reachablePeers(registered, heard)).toEqual([
    { name: 'n2', apiHost: 'n2.host', apiPort: 8008, postgres: { host: '10.0.0.2', port: 5432 } },
    { name: 'n3', apiHost: 'n3.host', apiPort: 8008 },
    { name: 'n4', apiHost: 'n4.host', apiPort: 8008 },
  ])
})
