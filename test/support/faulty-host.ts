import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { makeDatabaseFolder } from './database-folder.ts'
import { REPOSITORY_ROOT } from './repository-root.ts'

/** PostgreSQL's programs on a disk and a clock that can be made bad, and what any other process is to be preloaded with. */
export type FaultyPrograms = {
  readonly binDir: string
  readonly library: string
  dispose(): void
}

/** What a person installs where there is no compiler. */
export const COMPILER_PACKAGES = 'gcc libc6-dev'

/** `stall`: nothing that is written returns. A number: each write and each flush takes so many milliseconds longer. */
export type DiskTrouble = {
  readonly of: 'postgres' | 'all'
  readonly how: 'stall' | number
}

export function hasCompiler(): boolean {
  try {
    execFileSync('gcc', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

export function faultyPrograms(realBinDir: string): FaultyPrograms {
  const binDir = makeDatabaseFolder('metako-faulty-')
  const library = join(binDir, 'faulty-host.so')
  const source = join(REPOSITORY_ROOT, 'test/support/faulty-host.c')
  execFileSync('gcc', ['-O2', '-fPIC', '-shared', '-o', library, source, '-ldl'])
  for (const name of readdirSync(realBinDir)) {
    if (name !== 'postgres') symlinkSync(join(realBinDir, name), join(binDir, name))
  }
  const script = `#!/bin/sh\nexec env LD_PRELOAD=${library} ${join(realBinDir, 'postgres')} "$@"\n`
  writeFileSync(join(binDir, 'postgres'), script, { mode: 0o755 })
  return { binDir, library, dispose: () => rmSync(binDir, { recursive: true, force: true }) }
}

/** Where the faults of the host stand whose PostgreSQL has its data there. */
export function faultsBeside(dataDir: string): string {
  return join(dirname(dataDir), 'faults')
}

/** From now on what is written there is late, or never done, until told otherwise. Reads go on. */
export function setDiskTrouble(faults: string, trouble: DiskTrouble | undefined): void {
  const how = trouble?.how === 'stall' ? 'stall' : String(Math.round(Number(trouble?.how) * 1000))
  setFault(join(faults, 'disk'), trouble && `${trouble.of} ${how}`)
}

/** From now on the time of day is off by so many seconds. */
export function setClockOffset(faults: string, seconds: number): void {
  setFault(join(faults, 'clock'), seconds === 0 ? undefined : String(seconds))
}

function setFault(file: string, words: string | undefined): void {
  if (words === undefined) {
    rmSync(file, { force: true })
    return
  }
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, words)
}
