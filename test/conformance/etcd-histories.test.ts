import { afterEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../../src/platform/log.ts'
import { createEtcdStore, type EtcdStore } from '../../src/store/etcd/etcd-store.ts'
import { hasEtcd, startEtcdCluster, type EtcdCluster } from '../support/etcd-cluster.ts'
import { eventually } from '../support/eventually.ts'
import { checkLinearizability } from '../support/linearizability.ts'
import { RegisterClients } from '../support/register-clients.ts'

const SOME = 60
const CLIENTS = 5

let cluster: EtcdCluster
let clients: RegisterClients
const stores: EtcdStore[] = []

afterEach(async () => {
  await clients?.stop()
  await Promise.all(stores.splice(0).map((store) => store.stop()))
  await cluster?.dispose()
})

async function begin(seed: number): Promise<void> {
  cluster = await startEtcdCluster()
  const ports = Array.from({ length: CLIENTS }, (_, index) => {
    const order = cluster.names.map(
      (_name, step) => cluster.names[(index + step) % cluster.names.length] ?? '',
    )
    const endpoints = order.map((name) => cluster.url(name))
    const store = createEtcdStore({ log: silentLogger() }, { endpoints, prefix: 'register-' })
    stores.push(store)
    return [`${order[0]}-${index}`, store] as const
  })
  await eventually('a quorum for everybody', () => stores.every((store) => store.status().hasQuorum))
  clients = new RegisterClients(new Map(ports), { seed })
  clients.start()
  await clients.progress(SOME)
}

async function expectLinearizable(): Promise<void> {
  const verdict = checkLinearizability(await clients.stop())
  expect(verdict.kind === 'violated' ? verdict.explanation : 'linearizable').toBe('linearizable')
  expect(stores.map((store) => store.status().problem)).toEqual(stores.map(() => undefined))
}

describe.runIf(hasEtcd())('three processes of etcd behind our store', () => {
  it('are one register to every client while they are killed and come back', async () => {
    await begin(11)
    const leader = await cluster.leader()
    const [follower = ''] = cluster.names.filter((name) => name !== leader)
    for (const name of [leader, follower]) {
      await cluster.kill(name)
      await clients.progress(SOME)
      cluster.start(name)
      await clients.progress(SOME)
    }
    await Promise.all(cluster.names.map((name) => cluster.kill(name)))
    for (const name of cluster.names) cluster.start(name)
    await clients.progress(SOME)
    await expectLinearizable()
  })

  it('are one register to every client while leader and follower are paused and go on', async () => {
    await begin(12)
    const leader = await cluster.leader()
    const [follower = ''] = cluster.names.filter((name) => name !== leader)
    for (const name of [leader, follower]) {
      cluster.signal(name, 'SIGSTOP')
      await clients.progress(SOME)
      cluster.signal(name, 'SIGCONT')
      await clients.progress(SOME)
    }
    await expectLinearizable()
  })
})
