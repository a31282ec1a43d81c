import { expect, it } from 'vitest'
import { keptParameters } from './own-parameters.ts'

it('names what the file of this node sets otherwise than the whole cluster, and nothing that is the same or set there alone', () => {
  const kept = keptParameters({
    max_connections: '50',
    Work_Mem: '8MB',
    shared_buffers: '16MB',
    fsync: 'on',
  })
  const settings = {
    postgresql: { parameters: { max_connections: 60, work_mem: '8MB', fsync: true, port: 1 } },
  }
  expect(kept(JSON.stringify(settings))).toEqual(['max_connections'])
  expect(kept(undefined)).toEqual([])
})
