import { describe, expect, it } from 'vitest'
import type { RoutingTableMessage } from '../model/routing-table.ts'
import { TableNews } from './table-news.ts'

const table = (more: Partial<RoutingTableMessage> = {}): RoutingTableMessage => ({
  epoch: 7,
  replicas: [],
  validUntil: 10_000,
  validForMs: 2000,
  bootId: 'boot',
  ...more,
})

describe('TableNews', () => {
  it('is told at once, and what says the same only so often that its router does not ask others', () => {
    const news = new TableNews()
    expect(news.take(table(), 0)).toBe(true)
    expect(news.take(table({ validForMs: 1900 }), 100)).toBe(false)
    expect(news.take(table({ validUntil: 10_040 }), 200)).toBe(false)
    const replica = { name: 'n2', host: '10.0.0.2', port: 5432 }
    expect(news.take(table(), 400)).toBe(true)
    expect(news.take(table({ replicas: [{ ...replica, lagBytes: 0 }] }), 401)).toBe(true)
    expect(news.take(table({ replicas: [{ ...replica, lagBytes: 96 }] }), 402)).toBe(false)
  })

  it('tells a longer validity and every other change', () => {
    const news = new TableNews()
    news.take(table(), 0)
    expect(news.take(table({ validUntil: 10_060 }), 1)).toBe(true)
    expect(news.take(table({ epoch: 8, validUntil: 10_060 }), 2)).toBe(true)
    expect(news.take(table({ epoch: 8, validUntil: 10_060, holding: 'SWITCHOVER' }), 3)).toBe(true)
  })
})
