import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** A cable on loopback: passes bytes on until it is cut, then holds them back in both directions, as a partition does. */
export type CuttableProxy = {
  readonly port: number
  /** While cut, nothing arrives and nobody is told: what was sent comes through when it is whole again. */
  setWhole(isWhole: boolean): void
  /** Breaks the connections that there are, as a restart of a firewall does. */
  breakAll(): void
  close(): void
}

export async function startCuttableProxy(targetPort: number): Promise<CuttableProxy> {
  const sockets = new Set<Socket>()
  let isWhole = true
  const server = createServer((near) => {
    const far = connect({ host: '127.0.0.1', port: targetPort, noDelay: true })
    near.setNoDelay(true)
    join(near, far)
    join(far, near)
  })
  const join = (from: Socket, to: Socket): void => {
    sockets.add(from)
    from.on('data', (chunk) => to.write(chunk))
    from.on('error', () => to.destroy())
    from.on('close', () => {
      sockets.delete(from)
      to.destroy()
    })
    if (!isWhole) from.pause()
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    setWhole(next) {
      isWhole = next
      for (const socket of sockets)
        if (isWhole) socket.resume()
        else socket.pause()
    },
    breakAll() {
      for (const socket of sockets) socket.destroy()
    },
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}
