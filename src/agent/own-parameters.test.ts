import { expect, it } from 'vitest'
import { OwnParameters } from './own-parameters.ts'

it('names what the file of this node sets otherwise than the whole cluster, and nothing that is the same or set there alone', () => {
  const own = new OwnParameters({
    max_connections: '50',
    Work_Mem: '8MB',
    shared_buffers: '16MB',
    fsync: 'on',
  })
  const settings = {
    postgresql: { parameters: { max_connections: 60, work_mem: '8MB', fsync: true, port: 1 } },
  }
  expect(own.against(JSON.stringify(settings), {}).kept).toEqual(['max_connections'])
  expect(own.against(undefined, {}).kept).toEqual([])
})

it('says whether all of it was taken in', () => {
  const own = new OwnParameters({})
  const settings = JSON.stringify({ postgresql: { parameters: { work_mem: '8MB' } } })
  expect(own.against(undefined, {}).isTakenIn).toBe(true)
  expect(own.against(settings, {}).isTakenIn).toBe(false)
  expect(own.against(settings, { work_mem: '8MB' }).isTakenIn).toBe(true)
  expect(own.against(undefined, { work_mem: '8MB' }).isTakenIn).toBe(false)
})
