import { connect, createServer, type Socket } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { inheritListener, type InheritedListener } from './port-listener.ts'

const opened: { destroy: () => void }[] = []
afterEach(() => {
  for (const one of opened.splice(0)) one.destroy()
})

/** A listener as from another process, and somebody who came and spoke before anybody was there to serve. */
async function spokenTo(): Promise<InheritedListener> {
  const sent = createServer()
  await new Promise<void>((resolve) => void sent.listen(0, '127.0.0.1', resolve))
  const inherited = inheritListener(sent, { isForOthers: false })
  opened.push({ destroy: inherited.close })
  const early = connect(inherited.port, '127.0.0.1')
  opened.push(early)
  await new Promise<void>((resolve) => void early.once('connect', resolve))
  await new Promise<void>((resolve) => void early.write('startup', () => resolve()))
  while ((await connections(inherited)) === 0) await turn()
  // As often as a kernel may need until what was sent is there to be read.
  for (let turns = 0; turns < 100; turns += 1) await turn()
  return inherited
}

function connections({ server }: InheritedListener): Promise<number> {
  return new Promise((resolve) => server.getConnections((_error, count) => resolve(count)))
}

function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}

it('who speaks before the next router serves is heard when it does', async () => {
  const inherited = await spokenTo()
  const said = await new Promise<string>((resolve) => {
    inherited.attach((socket: Socket) => {
      opened.push(socket)
      socket.once('data', (bytes) => resolve(bytes.toString()))
    })
  })
  expect(said).toBe('startup')
})
