import type { RouterOptions } from '../../../src/proxy/router-process.ts'
import { runRouter } from '../../../src/proxy/run-router.ts'

/** A router as a process of its own, as an agent starts it; ends by SIGTERM. */
const text = process.env['BENCH_ROUTER']
if (text === undefined) throw new Error('BENCH_ROUTER is not set')
await runRouter(JSON.parse(text) as RouterOptions, 'BENCH_ROUTER')
