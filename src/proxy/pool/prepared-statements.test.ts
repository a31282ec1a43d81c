import { describe, expect, it } from 'vitest'
import { ClientStatements, ServerStatements, StatementRegistry } from './prepared-statements.ts'

const definition = (text: string): Buffer => Buffer.from(`${text}\0\0\0`)

describe('prepared statements', () => {
  it('are one for all clients that prepare the same, and forgotten with the last of them', () => {
    const registry = new StatementRegistry()
    const [one, other] = [new ClientStatements(registry), new ClientStatements(registry)]
    one.set('a', registry.take(definition('select 1')))
    other.set('b', registry.take(definition('select 1')))
    one.set('c', registry.take(definition('select 2')))
    expect(other.get('b')).toBe(one.get('a'))
    expect(one.get('c')?.name).not.toBe(one.get('a')?.name)
    one.clear()
    expect(registry.size).toBe(1)
    other.delete('b')
    expect(registry.size).toBe(0)
  })

  it('of one client are bounded in number and in size', () => {
    const registry = new StatementRegistry()
    const [many, large] = [new ClientStatements(registry), new ClientStatements(registry)]
    for (let count = 0; !many.isFull; count += 1) many.set(`s${count}`, registry.take(definition('select 1')))
    expect([many.size, registry.size]).toEqual([10_000, 1])
    for (let count = 0; !large.isFull; count += 1)
      large.set(`s${count}`, registry.take(Buffer.alloc(2 ** 20, 'x')))
    expect(large.size).toBe(17)
    large.delete('s0')
    expect(large.isFull).toBe(false)
  })

  it('leave a server connection in the order in which they were used last', () => {
    const registry = new StatementRegistry()
    const server = new ServerStatements(registry)
    const [a, b, c] = ['a', 'b', 'c'].map((text) => registry.take(definition(text)))
    if (!a || !b || !c) throw new Error('no statements')
    for (const statement of [a, b, c]) server.add(statement)
    expect([server.use(a), server.evictAbove(2), server.use(b), server.evictAbove(2)]).toEqual([
      true,
      b,
      false,
      undefined,
    ])
    // Now c is older than a, and a is used twice in a row: it goes last all the same.
    expect([server.use(c), server.use(a), server.use(a), server.evictAbove(1)]).toEqual([true, true, true, c])
    server.add(c)
    for (const statement of [a, b, c]) registry.drop(statement)
    expect(registry.size).toBe(2)
    server.clear()
    expect(registry.size).toBe(0)
  })
})
