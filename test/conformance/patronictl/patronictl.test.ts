import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PatroniCluster, packagesMissingForPatroni } from '../../bench/failover/patroni.ts'
import { Cluster } from '../../support/cluster.ts'
import { hasEtcd, startEtcdCluster, type EtcdCluster } from '../../support/etcd-cluster.ts'
import { eventually } from '../../support/eventually.ts'
import { PROGRAM } from '../../support/machines.ts'
import { patroniMachines } from '../../support/patroni-machines.ts'
import { lastRow, masked } from './masked.ts'

const DEBIAN_BIN = '/usr/lib/postgresql/15/bin'
const START_MS = 180_000
const HEALTHY_MS = 60_000
const GOLDEN = new URL('golden/', import.meta.url)

/** What is typed, in this order, on three nodes of which node1 is the leader at first. */
const COMMANDS: Readonly<Record<string, string>> = {
  list: 'list',
  'list-extended': 'list -e',
  'list-json': 'list -f json',
  'list-tsv': 'list -f tsv bench',
  topology: 'topology',
  dsn: 'dsn',
  'dsn-replica': 'dsn -r replica',
  'dsn-member': 'dsn bench -m node3',
  'dsn-nobody': 'dsn -m node9',
  'version-members': 'version bench',
  'switchover-not-the-leader': 'switchover --leader node2 --force',
  'switchover-nobody': 'switchover --candidate node9 --force',
  'failover-to-nobody': 'failover --force',
  'switchover-in-the-past': 'switchover --leader node1 --scheduled 2020-01-01T00:00+00 --force',
  'switchover-at-no-time': 'switchover --leader node1 --scheduled tomorrowish --force',
  'restart-in-the-past': 'restart bench node3 --scheduled 2020-01-01T00:00+00 --force',
  'flush-switchover': 'flush bench switchover --force',
  'flush-restart': 'flush bench node3 restart --force',
  switchover: 'switchover --leader node1 --candidate node2 --force',
  history: 'history',
  'reinit-leader': 'reinit bench node2 --force',
  reinit: 'reinit bench node3 --force --wait',
  restart: 'restart bench node1 --force',
  reload: 'reload bench node1 --force',
  pause: 'pause',
  'pause-again': 'pause',
  'list-paused': 'list',
  resume: 'resume',
}
/** The cluster is waited for before what shows or needs all of it. */
const NEEDS_HEALTHY = new Set(['list', 'history', 'reinit', 'restart', 'reload', 'list-paused', 'pause'])

type System = {
  /** Until all members are there; resolves with the leader. */
  healthy(): Promise<string>
  /** The words before those of a command. */
  readonly program: readonly string[]
}

function typed(words: readonly string[]): Promise<string> {
  const [file = '', ...args] = words
  return new Promise((resolve) => {
    execFile(
      file,
      args,
      { timeout: 60_000, env: { PATH: process.env['PATH'] ?? '', LANG: 'C.UTF-8', TZ: 'UTC' } },
      (error, out, err) => {
        resolve(`${out}${err}exit ${error ? Number(error.code ?? 1) : 0}\n`)
      },
    )
  })
}

async function typeAll({ healthy, program }: System): Promise<Readonly<Record<string, string>>> {
  const seen: Record<string, string> = {}
  for (const [name, words] of Object.entries(COMMANDS)) {
    if (NEEDS_HEALTHY.has(name)) await healthy()
    const text = masked(await typed([...program, ...words.split(' ')]))
    seen[name] = name === 'history' ? lastRow(text) : text
  }
  return seen
}

const golden = (name: string): URL => new URL(`${name}.txt`, GOLDEN)
const isAllRequired = process.env['PG_METAKO_TEST_REQUIRE'] === 'all'
const missing = packagesMissingForPatroni(existsSync(`${DEBIAN_BIN}/postgres`) ? DEBIAN_BIN : undefined)

describe.skipIf(missing.length > 0 && !isAllRequired)('patronictl 3.0.2 of Debian, on Patroni', () => {
  let cluster: PatroniCluster | undefined
  let seen: Readonly<Record<string, string>> = {}

  beforeAll(async () => {
    const started = await PatroniCluster.start({ mode: 'async', binDir: DEBIAN_BIN, onHosts: false })
    cluster = started
    const program = ['patronictl', '-c', started.configFile('node1')]
    if ((await started.waitForHealthy(HEALTHY_MS)) !== 'node1')
      await typed([...program, 'switchover', '--candidate', 'node1', '--force'])
    const healthy = () => started.waitForHealthy(HEALTHY_MS)
    expect(await healthy()).toBe('node1')
    seen = await typeAll({ healthy, program })
    if (process.env['UPDATE'] === '1')
      for (const [name, text] of Object.entries(seen)) writeFileSync(golden(name), text)
  }, START_MS)
  afterAll(() => cluster?.dispose())

  it.each(Object.entries(COMMANDS))('patronictl %s prints what the golden file has: %s', (name) => {
    expect(seen[name]).toBe(readFileSync(golden(name), 'utf8'))
  })
})

const canRunOurs = hasEtcd() && existsSync(`${DEBIAN_BIN}/postgres`)

describe.skipIf(!canRunOurs && !isAllRequired)('patronictl of pg-metako, on pg-metako', () => {
  let etcd: EtcdCluster | undefined
  let cluster: Cluster | undefined
  let folder: string
  let seen: Readonly<Record<string, string>> = {}
  let stockSeen: Readonly<Record<string, string>> = {}

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'metako-ctl-'))
    const alias = join(folder, 'patronictl')
    symlinkSync(PROGRAM, alias)
    etcd = await startEtcdCluster()
    const hosts = etcd.names.map((name) => new URL(etcd?.url(name) ?? '').host)
    // What the stock program needs to be let in: version 3 of etcd's protocol, and the password for changes.
    const configure = (text: string) =>
      text
        .replace('scope: postgres-cluster', 'scope: bench')
        .replace('\netcd:', '\netcd3:')
        .replace(
          '\nrestapi:\n',
          '\nrestapi:\n  authentication: {username: admin, password: a-password-for-changes}\n',
        )
    const machines = await patroniMachines({ count: 3, binDir: DEBIAN_BIN, etcd: hosts, configure })
    const started = new Cluster(machines)
    cluster = started
    started.supervise(true)
    started.startAll()
    const healthy = async () => (await started.waitForHealthy(HEALTHY_MS)).name
    const program = [process.execPath, alias, '-c', started.node('node1').configFile]
    if ((await healthy()) !== 'node1')
      await typed([...program, 'switchover', '--candidate', 'node1', '--force'])
    expect(await healthy()).toBe('node1')
    seen = await typeAll({ healthy, program })
    if (missing.length > 0) return
    await typed([...program, 'switchover', '--candidate', 'node1', '--force'])
    const stock = ['patronictl', '-c', started.node('node1').configFile]
    // What it reads in etcd is late by seconds, and so is a lag that it reads there.
    const shown = async () => {
      const name = await healthy()
      await eventually('etcd to show the cluster as it is', async () => {
        const list = masked(await typed([...stock, 'list']))
        const history = lastRow(masked(await typed([...stock, 'history'])))
        return (
          history.includes(`|${name}|`) &&
          list.split('|UP|').length === 4 &&
          list.includes(`|${name}|ADDRESS|Leader|`) &&
          !list.includes('unknown')
        )
      })
      return name
    }
    expect(await shown()).toBe('node1')
    stockSeen = await typeAll({ healthy: shown, program: stock })
  }, 2 * START_MS)
  afterAll(async () => {
    await cluster?.dispose()
    await etcd?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  it.each(Object.entries(COMMANDS))('patronictl %s prints the same as that of Patroni: %s', (name) => {
    expect(seen[name]).toBe(readFileSync(golden(name), 'utf8'))
  })

  it.skipIf(missing.length > 0 && !isAllRequired).each(Object.entries(COMMANDS))(
    'patronictl %s of Debian works here as on Patroni: %s',
    (name) => {
      expect(stockSeen[name]).toBe(readFileSync(golden(name), 'utf8'))
    },
  )
})
