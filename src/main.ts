#!/usr/bin/env node
// Says what Node is wanted, then loads the program. Nothing is imported above the check, and no syntax is used that an
// old Node does not know: it must get as far as the sentence.
// oxlint-disable no-restricted-globals -- the door to the operating system cannot be opened before the check
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

async function main(): Promise<void> {
  const { loadProgram } = await import('./platform/program-files.ts')
  const { runProgram } = loadProgram<typeof import('./program.ts')>(new URL('./program/', import.meta.url))
  // Under that name it has the commands of that program.
  const isPatronictl = /(^|[/\\])patronictl$/.test(String(process.argv[1]))
  await runProgram([...(isPatronictl ? ['patronictl'] : []), ...process.argv.slice(2)])
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
