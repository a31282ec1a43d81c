import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from './free-ports.ts'
import { spawnLogged, type TestNode } from './machines.ts'
import { REPOSITORY_ROOT } from './repository-root.ts'

const HOST = '127.0.0.1'
const SEED = join(REPOSITORY_ROOT, 'test/fixtures/haproxy/seed.cfg')
const PLACES = ['/usr/sbin/haproxy', '/usr/local/sbin/haproxy', '/usr/local/bin/haproxy']

export type Haproxy = {
  readonly writePort: number
  readonly readPort: number
  log(): string
  dispose(): Promise<void>
}

export function findHaproxy(): string | undefined {
  return PLACES.find((path) => existsSync(path))
}

/** Real HAProxy with the guide's configuration, in which nothing but addresses is another. */
export async function startHaproxy(nodes: readonly TestNode[]): Promise<Haproxy> {
  const program = findHaproxy()
  if (program === undefined) throw new Error('HAProxy is not installed: apt-get install -y haproxy')
  const folder = mkdtempSync(join(tmpdir(), 'metako-haproxy-'))
  const writePort = await freePorts(HOST, 2)
  const readPort = writePort + 1
  const text = nodes.reduce(
    (all, { name, host, ports }) =>
      all.replaceAll(`${name}:5432 check port 8008`, `${host}:${ports.postgres} check port ${ports.api}`),
    readFileSync(SEED, 'utf8'),
  )
  const adapted = text.replace('*:5433', `${HOST}:${writePort}`).replace('*:5434', `${HOST}:${readPort}`)
  writeFileSync(join(folder, 'haproxy.cfg'), adapted)
  const logFile = join(folder, 'haproxy.log')
  const child = spawnLogged([program, '-db', '-f', join(folder, 'haproxy.cfg')], { logFile, cwd: folder })
  return {
    writePort,
    readPort,
    log: () => readFileSync(logFile, 'utf8'),
    async dispose() {
      const gone = once(child, 'exit')
      if (child.exitCode === null && child.kill('SIGKILL')) await gone
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
