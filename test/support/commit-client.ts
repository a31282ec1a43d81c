import { HttpConnections } from '../../src/platform/http-connections.ts'
import { pause } from '../../src/platform/timers.ts'

/**
 * A process of its own that commits over HTTP, one request after another on each of its connections, and prints how long each
 * took. It does not know to whom it speaks: what differs between systems is the address and the body.
 */
export type CommitClientSetup = {
  readonly url: string
  /** One for each writer. */
  readonly bodies: readonly string[]
  readonly warmUpMs: number
  readonly measureMs: number
}

export type CommitClientReport = {
  readonly latenciesMs: readonly number[]
  readonly elapsedMs: number
}

const ANSWER_LIMIT_MS = 10_000
const ANSWER_MAX_BYTES = 100_000

const setup = JSON.parse(process.argv[2] ?? '{}') as CommitClientSetup
const http = new HttpConnections({ connectMs: 1000 })
const latenciesMs: number[] = []
let isMeasuring = false
let isOver = false

async function write(body: string): Promise<void> {
  const post = { url: setup.url, headers: { 'content-type': 'application/json' }, body }
  while (!isOver) {
    const options = { signal: AbortSignal.timeout(ANSWER_LIMIT_MS), maxBytes: ANSWER_MAX_BYTES }
    const begun = performance.now()
    const { status, body: answer } = await http.exchange(post, options)
    const tookMs = performance.now() - begun
    if (status !== 200) throw new Error(`Cannot commit: HTTP ${status} ${answer}`)
    if (isMeasuring) latenciesMs.push(tookMs)
  }
}

const writers = Promise.all(setup.bodies.map(write))
await Promise.race([pause(setup.warmUpMs), writers])
isMeasuring = true
const begun = performance.now()
await Promise.race([pause(setup.measureMs), writers])
isMeasuring = false
const elapsedMs = performance.now() - begun
isOver = true
await writers
http.close()
const report: CommitClientReport = { latenciesMs, elapsedMs }
process.stdout.write(JSON.stringify(report))
