import { beforeEach, describe, expect, it } from 'vitest'
import { newWorld, runCommand, snapshotOf } from '../../test/support/decide-transcript.ts'
import { MeddledStore, settle, VirtualClock } from '../../test/support/ha-fakes.ts'
import type { FailoverRecord } from '../model/failover-record.ts'
import { plus } from '../model/time.ts'
import { silentLogger } from '../platform/log.ts'
import { decide } from './decide/decide.ts'
import { FlightRecorder } from './flight-recorder.ts'
import { keysOf } from './keys.ts'

const keys = keysOf('service', 'main')

describe('FlightRecorder', () => {
  let store: MeddledStore
  let world: ReturnType<typeof newWorld>
  let recorder: FlightRecorder

  beforeEach(() => {
    store = new MeddledStore()
    world = newWorld()
    recorder = new FlightRecorder(
      { clock: new VirtualClock(), store, log: silentLogger() },
      { keys, writeDeadlineMs: 1000 },
    )
  })

  /** What n2 sees at this moment, after these changes. */
  function at(ms: number, ...changes: readonly string[]): void {
    for (const change of changes) runCommand(world, change)
    const seen = snapshotOf(world, 'n2')
    const then = { ...seen, takenAt: plus(seen.takenAt, ms) }
    recorder.see(then, decide(seen))
  }

  async function kept(): Promise<readonly FailoverRecord[]> {
    await settle()
    return store.peekPrefix(keys.failovers).map(({ value }) => JSON.parse(value) as FailoverRecord)
  }

  const calm = [
    'policy acks=quorum',
    'member n1 primary flush=0/6000 senders=n2,n3',
    'member n2 standby flush=0/6000',
    'member n3 standby flush=0/5000',
    'record holder=n1 epoch=7 open acks=7:n1:1/n2,n3',
  ]

  it('writes down how its member became primary, and why nobody else did', async () => {
    at(0, ...calm)
    at(10, 'member n1 crashed role=primary')
    at(20, 'record holder=n1 epoch=8 pledging acks=7:n1:1/n2,n3')
    at(50, 'member n2 standby flush=0/6000 streaming=no pledge=8@1/0/6000')
    at(60, 'member n3 standby flush=0/5000 streaming=no pledge=8@1/0/5000')
    at(70, 'record holder=n2 epoch=8 authorised acks=7:n1:1/n2,n3;8:n2:1/n3')
    at(150, 'member n2 primary flush=0/6100')
    at(160, 'member n2 primary flush=0/6100 senders=n3')
    at(180, 'record holder=n2 epoch=8 open acks=8:n2:1/n3')
    const [failover, ...more] = await kept()
    expect(more).toEqual([])
    expect(failover).toMatchObject({ epoch: 8, from: 'n1', to: 'n2' })
    expect(failover?.steps.map(({ atMs, step, detail }) => [atMs, step, detail])).toEqual([
      [0, 'noticed', 'n1 says that its PostgreSQL is crashed'],
      [10, 'begun', 'PRIMARY_SILENT'],
      [40, 'pledged', 'n2 at 0/6000 of timeline 1'],
      [50, 'pledged', 'n3 at 0/5000 of timeline 1'],
      [60, 'authorised', undefined],
      [140, 'promoted', undefined],
      [150, 'protected', undefined],
      [170, 'open', undefined],
    ])
    expect(failover?.passedOver).toEqual([{ name: 'n3', why: 'has less: 0/5000 of timeline 1' }])
  })

  it('keeps nothing of a false alarm, nor of what another member took', async () => {
    at(0, ...calm)
    at(10, 'member n1 crashed role=primary')
    at(20, 'member n1 primary flush=0/6000 senders=n2,n3')
    at(30, 'record holder=n1 epoch=8 pledging acks=7:n1:1/n2,n3')
    at(40, 'record holder=n3 epoch=8 authorised acks=7:n1:1/n2,n3;8:n3:1/n2')
    at(50, 'record holder=n3 epoch=8 open acks=8:n3:1/n2')
    expect(await kept()).toEqual([])
  })

  it('keeps the newest twenty', async () => {
    for (let epoch = 1; epoch <= 20; epoch += 1) await store.put(keys.failoverRecord(epoch), { epoch })
    runCommand(world, 'member n1 primary')
    runCommand(world, 'member n2 standby flush=0/5000')
    at(0, 'record holder=n1 epoch=20 released age=100')
    at(10, 'record holder=n2 epoch=21 authorised')
    at(20, 'member n2 primary', 'record holder=n2 epoch=21 open')
    const epochs = (await kept()).map(({ epoch }) => epoch).toSorted((one, other) => one - other)
    expect(epochs).toHaveLength(20)
    expect(epochs.at(0)).toBe(2)
    expect(epochs.at(-1)).toBe(21)
  })
})
