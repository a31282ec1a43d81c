import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { APP, PooledRouters } from '../../../test/support/pooled-router.ts'
import { describePostgres } from '../../../test/support/postgres.ts'
import type { RawClient } from '../../../test/support/raw-client.ts'
import { parseErrorResponse } from '../../wire/error-response.ts'
import { message, MessageReader } from '../../wire/frame.ts'
import { buildStartup } from '../../wire/startup.ts'

const text = (value: string): Buffer => Buffer.from(`${value}\0`)
const parse = (name: string, sql: string): Buffer =>
  message('P', Buffer.concat([text(name), text(sql), Buffer.alloc(2)]))
const bind = (name: string): Buffer => message('B', Buffer.concat([text(''), text(name), Buffer.alloc(6)]))
const execute = message('E', Buffer.alloc(5))
const sync = message('S', Buffer.alloc(0))
const query = (sql: string): Buffer => message('Q', text(sql))

const name = fc.constantFrom('a', 'b', 'c', 'd')
// No BEGIN: in a failed transaction a statement that the server connection has is answered as parsed (ADR 0025, price).
const sql = fc.constantFrom('select 1', 'select 2 as two', 'select 1/0', 'selec', 'commit', 'rollback', '')
/** A part of a batch; what is unnamed is used in the batch that it is parsed in, since the next may run elsewhere. */
const part = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(name, sql).map(([to, of]) => parse(to, of)) },
  { weight: 4, arbitrary: name.map((of) => Buffer.concat([bind(of), execute])) },
  { weight: 2, arbitrary: sql.map((of) => Buffer.concat([parse('', of), bind(''), execute])) },
  { weight: 1, arbitrary: name.map((of) => message('D', text(`S${of}`))) },
  { weight: 1, arbitrary: name.map((of) => message('C', text(`S${of}`))) },
)
const batch = fc.array(part, { maxLength: 5 }).map((parts) => Buffer.concat([...parts, sync]))
const step = fc.tuple(
  fc.nat(1),
  fc.oneof({ weight: 4, arbitrary: batch }, { weight: 1, arbitrary: sql.map(query) }),
)

/** What a client was told, without what differs by nature: names in messages, positions. */
function toldTo(client: RawClient): string[] {
  const reader = new MessageReader()
  reader.push(client.bytes())
  const told: string[] = []
  for (let next = reader.next(); next; next = reader.next()) {
    const type = String.fromCharCode(next.type)
    if ('SKRvN'.includes(type)) continue
    if (type === 'E') told.push(`E ${parseErrorResponse(next.body)['C']}`)
    else told.push(`${type} ${next.body.toString('latin1')}`)
  }
  return told
}

describePostgres('statements on the pooled port', (postgres) => {
  let routers: PooledRouters
  beforeAll(async () => {
    routers = new PooledRouters(postgres())
    await routers.start()
  })
  afterAll(() => routers.dispose())

  async function login(port: number): Promise<RawClient> {
    const client = routers.raw(port)
    client.socket.write(buildStartup({ user: 'trusty', database: APP.database }))
    await client.untilReady()
    return client
  }

  it('are answered as PostgreSQL answers them, whoever else uses the server connections', async () => {
    const { ports } = await routers.router({
      defaultPoolSize: 2,
      maxPreparedStatements: 3,
      auth: { type: 'trust' },
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        const pooled = [await login(ports.pooled), await login(ports.pooled)]
        const direct = [await login(ports.primary), await login(ports.primary)]
        const ready = [1, 1]
        try {
          for (const [who, bytes] of steps) {
            ready[who]! += 1
            for (const client of [pooled[who]!, direct[who]!]) {
              client.socket.write(bytes)
              await client.untilReady(ready[who])
            }
          }
          for (const who of [0, 1]) expect(toldTo(pooled[who]!)).toEqual(toldTo(direct[who]!))
        } finally {
          for (const client of [...pooled, ...direct]) client.socket.destroy()
        }
      }),
      { numRuns: 60 },
    )
  })
})
