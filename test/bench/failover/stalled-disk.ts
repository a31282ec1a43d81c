import { execFileSync } from 'node:child_process'
import { readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { makeDatabaseFolder } from '../../support/database-folder.ts'
import { REPOSITORY_ROOT } from '../../support/repository-root.ts'

/** PostgreSQL's programs with a disk under them that can be made to stall. */
export type StallablePrograms = {
  readonly binDir: string
  dispose(): void
}

export function hasCompiler(): boolean {
  try {
    execFileSync('gcc', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

export function stallablePrograms(realBinDir: string): StallablePrograms {
  const binDir = makeDatabaseFolder('metako-stall-')
  const shim = join(binDir, 'stalled-disk.so')
  const source = join(REPOSITORY_ROOT, 'test/bench/failover/stalled-disk.c')
  execFileSync('gcc', ['-O2', '-fPIC', '-shared', '-o', shim, source, '-ldl'])
  for (const name of readdirSync(realBinDir)) {
    if (name !== 'postgres') symlinkSync(join(realBinDir, name), join(binDir, name))
  }
  const script = `#!/bin/sh\nexec env LD_PRELOAD=${shim} ${join(realBinDir, 'postgres')} "$@"\n`
  writeFileSync(join(binDir, 'postgres'), script, { mode: 0o755 })
  return { binDir, dispose: () => rmSync(binDir, { recursive: true, force: true }) }
}

/** From now on nothing that this instance writes returns, until it is told otherwise. Reads go on. */
export function setDiskStalled(dataDir: string, isStalled: boolean): void {
  const flag = join(dirname(dataDir), 'stalled')
  if (isStalled) writeFileSync(flag, '')
  else rmSync(flag, { force: true })
}
