import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../test/support/eventually.ts'
import { instanceProcesses, killInstance, rootsOf } from './process-tree.ts'

describe('the processes of an instance', () => {
  let folder: string
  const children: ChildProcess[] = []
  const start = (script: string) => {
    const child = spawn('sh', ['-c', script], { cwd: folder, stdio: 'ignore' })
    children.push(child)
    return child
  }

  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'tree-')))
  })
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })

  it('are all found by their working directory, and none survives, though the parent forks without end', async () => {
    const parent = start('while :; do sleep 0.01; done')
    const orphan = start('sleep 60 & exec true')
    await eventually('both run', () => {
      const found = instanceProcesses(folder)
      return found.some(({ parentPid }) => parentPid === parent.pid) && found.length >= 3
    })
    await eventually('one is an orphan', () => orphan.exitCode === 0)
    expect(rootsOf(instanceProcesses(folder)).length).toBe(2)

    const outcome = await killInstance(folder, { deadlineMs: 5000 })
    expect(outcome).toMatchObject({ kind: 'dead', stuck: [] })
    expect(outcome.kind === 'dead' && outcome.killed).toBeGreaterThanOrEqual(2)
    expect(instanceProcesses(folder)).toEqual([])
    await eventually('the parent ended', () => parent.signalCode === 'SIGKILL')
  })

  it('that do not exist are dead, also when their folder does not exist', async () => {
    expect(await killInstance(folder, { deadlineMs: 100 })).toMatchObject({ kind: 'dead', killed: 0 })
    expect(await killInstance(join(folder, 'none'), { deadlineMs: 100 })).toMatchObject({ killed: 0 })
  })
})
