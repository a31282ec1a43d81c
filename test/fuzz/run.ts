import { testPostgres } from '../support/postgres.ts'
import { toolOptions } from '../support/tool-options.ts'
import { MESSAGES_PER_SEED, runCodecSeed } from './codec.ts'
import { LiveRouter } from './live-router.ts'

/**
 * `npm run fuzz -- --messages N --from SEED [--live M]`: N mutated messages for the codec in this process, then M from hostile clients for
 * a router's process. Ends with what was wrong, and the seed that shows it again.
 */
const LIVE_SHARE = 0.01

async function main(): Promise<number> {
  const values = toolOptions('the fuzzer', {
    options: {
      messages: { type: 'string', default: '1000000' },
      from: { type: 'string', default: '1' },
      live: { type: 'string' },
    },
  })
  const messages = Number(values.messages)
  const from = Number(values.from)
  const live = values.live === undefined ? Math.round(messages * LIVE_SHARE) : Number(values.live)
  if (![messages, from, live].every((value) => Number.isInteger(value) && value >= 0)) {
    process.stderr.write('Cannot run the fuzzer: --messages, --from and --live are whole numbers\n')
    return 2
  }
  const violations = runCodec(messages, from) + (live > 0 ? await runLive(live, from) : 0)
  process.stdout.write(`${violations} violations\n`)
  return violations > 0 ? 1 : 0
}

function runCodec(messages: number, from: number): number {
  const begun = performance.now()
  const seeds = Math.ceil(messages / MESSAGES_PER_SEED)
  let violations = 0
  for (let seed = from; seed < from + seeds; seed += 1) {
    const violation = runCodecSeed(seed)
    if (!violation) continue
    violations += 1
    process.stdout.write(`${JSON.stringify(violation, null, 2)}\n`)
  }
  const seconds = (performance.now() - begun) / 1000
  const sent = seeds * MESSAGES_PER_SEED
  process.stdout.write(
    `codec: ${sent} messages, seeds ${from} to ${from + seeds - 1}, ${seconds.toFixed(0)} s\n`,
  )
  return violations
}

async function runLive(messages: number, from: number): Promise<number> {
  const begun = performance.now()
  const router = new LiveRouter(testPostgres())
  try {
    await router.start()
    const report = await router.run({ messages, from, isPatient: true })
    const seconds = (performance.now() - begun) / 1000
    const { problems, memory, ends } = report
    const used = [memory.before, memory.after].map((each) => `${(each.used / 1e6).toFixed(1)} MB`)
    process.stdout.write(
      `live: ${report.messages} messages, ${report.clients} clients, seeds from ${from}, ${seconds.toFixed(0)} s\n` +
        `live: ${report.statements} statements of healthy clients, the longest ${report.longestMs.toFixed(0)} ms; ` +
        `memory in use ${used.join(', then ')}; ${JSON.stringify(ends)}\n`,
    )
    for (const problem of problems) process.stdout.write(`live: ${problem}\n`)
    if (problems.length > 0) process.stdout.write(`${report.lastWords.join('\n')}\n`)
    return problems.length
  } finally {
    await router.dispose()
  }
}

process.exitCode = await main()
