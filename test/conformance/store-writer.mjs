/**
 * The process that `kill-nine.test.ts` kills: a group of one on a real disk, several transactions at a time, the key of
 * each on standard output once it is acknowledged. Needs the modules that `tsconfig.tools.json` builds.
 */
import { writeSync } from 'node:fs'

const [modules = '', folder = '', prefix = ''] = process.argv.slice(2)
const { silentLogger } = await import(`${modules}/platform/log.js`)
const { createRaftStore } = await import(`${modules}/store/raft/raft-store.js`)
const transport = { send: () => {}, onMessage: () => () => {} }
const onFatal = () => process.exit(3)
const store = createRaftStore({ transport, log: silentLogger(), onFatal }, { self: 'n1', folder })
const filler = 'x'.repeat(4000)
let count = 0

async function write() {
  for (;;) {
    count += 1
    const key = `${prefix}.${count}`
    const operations = [
      { kind: 'put', key, value: '' },
      { kind: 'put', key: 'filler', value: filler },
    ]
    await store.transact({ compares: [], operations }, { deadlineMs: 10_000 })
    writeSync(1, `${key}\n`)
  }
}

for (let writer = 0; writer < 8; writer += 1) void write()
