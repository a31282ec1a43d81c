#!/usr/bin/env node
// Arguments to command, nothing else. Nothing is imported above the check, and no syntax is used that an old Node does
// not know: it must get as far as the sentence that says so.
// oxlint-disable no-restricted-globals -- the door to the operating system cannot be opened before the check
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const argv = process.argv.slice(2)

/** The agent and what it starts: when they are done nothing may keep the process alive. */
const endWith = (code: number): never => process.exit(code)

async function main(): Promise<void> {
  if (argv[0] === 'guard') return endWith(await (await import('./agent/entry.ts')).runGuardProcess())
  if (argv[0] === 'router') return endWith(await (await import('./agent/entry.ts')).runRouterProcess())
  const { run } = await import('./cli/run.ts')
  const { realWorld } = await import('./cli/world.ts')
  const world = realWorld(async (options) =>
    endWith(await (await import('./agent/entry.ts')).runAgent(options)),
  )
  const code = await run(argv, world)
  // A command may have set one of its own.
  if (code !== 0) process.exitCode = code
}

if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`pg-metako needs Node.js 20.19 or newer: this is ${process.versions.node}\n`)
  process.exitCode = 2
} else {
  main().catch((error: unknown) => {
    process.stderr.write(`pg-metako: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(1)
  })
}
