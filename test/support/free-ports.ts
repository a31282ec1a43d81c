import { isPortFree } from '../../src/platform/listening-port.ts'
import { randomBetween } from '../../src/platform/random.ts'

/** Below the range that the kernel takes for outgoing connections: a port of ours must be free again after a restart. */
const FIRST_PORT = 12_000
const LAST_PORT = 30_000

/** The first of `size` free ports in a row. */
export async function freePorts(host: string, size: number): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const block = randomBetween(FIRST_PORT, LAST_PORT - size)
    const ports = Array.from({ length: size }, (_, index) => block + index)
    const free = await Promise.all(ports.map((port) => isPortFree(host, port)))
    if (free.every(Boolean)) return block
  }
  throw new Error(`Cannot find ${size} free ports in a row between ${FIRST_PORT} and ${LAST_PORT}`)
}
