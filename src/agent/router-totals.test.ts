import { expect, it } from 'vitest'
import { RouterTotals } from './router-totals.ts'

const of = (queries: number, clients: number) =>
  [{ port: 'pooled', listen: 6432, queries, errors: 1, clients, waiting: 0 }] as const

it('adds up all processes, and keeps what one had counted that has ended', () => {
  const totals = new RouterTotals()
  totals.said(1, of(10, 2))
  totals.said(2, of(5, 1))
  totals.said(2, of(6, 1))
  expect(totals.sum).toEqual([
    { port: 'pooled', listen: 6432, queries: 16, errors: 2, clients: 3, waiting: 0 },
  ])
  totals.ended(2)
  totals.ended(2)
  expect(totals.sum).toEqual([
    { port: 'pooled', listen: 6432, queries: 16, errors: 2, clients: 2, waiting: 0 },
  ])
  totals.said(3, of(1, 1))
  expect(totals.sum[0]).toMatchObject({ queries: 17, clients: 3 })
})

it('counts nothing of a router that has ended as clients', () => {
  const totals = new RouterTotals()
  totals.said(1, of(10, 2))
  totals.ended(1)
  expect(totals.sum).toEqual([
    { port: 'pooled', listen: 6432, queries: 10, errors: 1, clients: 0, waiting: 0 },
  ])
})

it('adds up latencies as well, of those that have ended too', () => {
  const latency = { database: 'app', user: 'me', counts: [1, 2], sumMs: 3 }
  const totals = new RouterTotals()
  totals.said(1, of(1, 1), [latency])
  totals.said(2, of(1, 1), [latency, { ...latency, user: 'you' }])
  totals.ended(1)
  totals.said(3, of(1, 1))
  expect(totals.latencies).toEqual([
    { ...latency, counts: [2, 4], sumMs: 6 },
    { ...latency, user: 'you' },
  ])
})
