import { createInterface } from 'node:readline'

/**
 * The line protocol of a driver's program in Node: fields with tabs between in, a line of JSON out.
 *
 * @typedef {{ place: string, port: number, user: string, tag: string }} Place
 * @typedef {import('../behaviours.ts').Json} Json
 */

export const HOST = '127.0.0.1'
export const DATABASE = 'app'
export const PASSWORD = process.env['DRIVERS_PASSWORD'] ?? ''
export const TEXT = 'Grüße \'quoted\' \\ "€" 😀'
export const NUMERIC = '12345678901234567890.0123456789'
export const INSTANT = '2026-11-30T12:34:56.789Z'
export const TEXTS = ['a', 'b"c', 'd,e\\f', null]
export const BYTES = Buffer.from('00ff5c2780', 'hex')
export const MANY = 32_767
export const LARGE = 'pg-metako '.repeat(104_858).slice(0, 1_048_576)
export const manyParameters = Array.from({ length: MANY }, (_, index) => index)
export const MANY_SQL = `select count(*)::int as count, sum(n)::int as sum from unnest(array[${manyParameters.map((index) => `$${index + 1}::int`).join(',')}]) as n`
const DEADLINE_MS = 10_000
/** A router of several workers shares clients evenly, so that among so many one is with every worker. */
const DISPLACERS = 8

/** How many others it takes to have a client's last server connection: one where each has its own. @param {Place} at */
export const displacersAt = ({ place }) => (place === 'transaction' ? DISPLACERS : 1)

/**
 * @param {Readonly<Record<string, (at: Place) => Promise<Json>>>} behaviours
 * @param {() => Promise<void>} closeAll
 */
export async function serve(behaviours, closeAll) {
  for await (const line of createInterface({ input: process.stdin })) {
    const [behaviour = '', place = '', port = '', user = '', tag = ''] = line.split('\t')
    let answer
    try {
      const act = behaviours[behaviour]
      if (!act) throw new Error(`no behaviour ${behaviour}`)
      answer = { value: await act({ place, port: Number(port), user, tag }) }
    } catch (error) {
      answer = { error: codeOf(error) }
    }
    await closeAll().catch(() => {})
    process.stdout.write(`${JSON.stringify(answer)}\n`)
  }
}

/**
 * @param {unknown} error
 * @returns {string}
 */
export function codeOf(error) {
  const { code, message, stack } = /** @type {{ code?: string, message?: string, stack?: string }} */ (error)
  if (code !== undefined && /^[0-9A-Z]{5}$/.test(code)) return code
  const isClosed = /terminated|not queryable|ECONNRESET|EPIPE|CONNECTION_(?:CLOSED|ENDED|DESTROYED)/
  return isClosed.test(`${code} ${message}`) ? 'CLOSED' : String(stack)
}

/**
 * The SQLSTATE that an action fails with.
 * @param {PromiseLike<unknown>} action
 */
export async function failureOf(action) {
  try {
    await action
  } catch (error) {
    return codeOf(error)
  }
  return 'it worked'
}

/**
 * @template T
 * @param {() => Promise<T | undefined | false>} look
 * @returns {Promise<T>}
 */
export async function until(look) {
  for (const from = Date.now(); Date.now() - from < DEADLINE_MS;) {
    const value = await look()
    if (value !== undefined && value !== false) return value
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`not within ${DEADLINE_MS} ms`)
}

/** @param {readonly number[]} values */
export const sum = (values) => values.reduce((total, value) => total + value, 0)
