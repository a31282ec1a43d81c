import { expect, it } from 'vitest'
import { sampleMember, sampleRecord, sampleView } from '../test/support/sample-view.ts'
import { topologyOf, type Topology } from './topology.ts'

const names = ({ rows }: Topology) => rows.map((row) => row.map(({ member }) => member.facts.name))

it('puts the primary on top and those who stream from it below', () => {
  const drawn = topologyOf(sampleView())
  expect(names(drawn)).toEqual([['n1'], ['n2', 'n3']])
  expect(drawn.edges.map(({ row, fromX, toX }) => [row, fromX, toX])).toEqual([
    [0, 0.5, 0.25],
    [0, 0.5, 0.75],
  ])
})

it('draws a standby of a standby below it', () => {
  const stream = { state: 'streaming', isSync: false }
  const streams = [
    { ...stream, from: 'n1', to: 'n2' },
    { ...stream, from: 'n2', to: 'n3' },
  ]
  expect(names(topologyOf(sampleView({ streams })))).toEqual([['n1'], ['n2'], ['n3']])
})

it('keeps who streams from nobody among the standbys, without an edge', () => {
  const drawn = topologyOf(sampleView({ streams: sampleView().streams.slice(0, 1) }))
  expect(names(drawn)).toEqual([['n1'], ['n2', 'n3']])
  expect(drawn.edges.map(({ stream }) => stream.to)).toEqual(['n2'])
})

it('puts nobody on top between two epochs', () => {
  const view = sampleView({ record: sampleRecord({ state: 'authorised' }), streams: [] })
  expect(names(topologyOf(view))).toEqual([['n1', 'n2', 'n3']])
})

it('ends where two members say that they stream from each other', () => {
  const stream = { state: 'streaming', isSync: false }
  const streams = [
    { ...stream, from: 'n2', to: 'n3' },
    { ...stream, from: 'n3', to: 'n2' },
  ]
  expect(names(topologyOf(sampleView({ streams })))).toEqual([['n1'], ['n2', 'n3']])
})

it('shows a holder that it does not know, as nobody', () => {
  const view = sampleView({
    record: sampleRecord({ holder: 'n9' }),
    members: [sampleMember('n1')],
    streams: [],
  })
  expect(names(topologyOf(view))).toEqual([['n1']])
})
