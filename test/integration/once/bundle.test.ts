import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { PROGRAM } from '../../support/machines.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'metako-bundle-'))
})

afterEach(() => rmSync(folder, { recursive: true }))

it('tells of an error with the files and lines that were written', async () => {
  writeFileSync(join(folder, 'no-folder'), '')
  const config = join(folder, 'node.yaml')
  const log = join(folder, 'agent.log')
  writeFileSync(
    config,
    [
      'identity: { node_name: n1, api_host: 127.0.0.1, api_port: 21001 }',
      'local_db: { password: secret-of-a-test }',
      `paths: { state_dir: ${folder}/no-folder/state, run_dir: ${folder}/run }`,
      `postgresql: { data_dir: ${folder}/data }`,
      `logging: { file: ${log} }`,
      '',
    ].join('\n'),
  )
  const code = await new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, '--config', config], (error) => resolve(error?.code))
  })
  const line = readFileSync(log, 'utf8')
    .split('\n')
    .find((text) => text.includes('Cannot start this node'))
  expect({ code, line }).toMatchObject({
    code: 1,
    line: expect.stringContaining('src/agent/state-folder.ts:'),
  })
  expect(line).not.toContain('program/')
})

it('is kept compiled for the Node that runs it', () => {
  const files = readdirSync(join(dirname(PROGRAM), 'program'))
  const programs = files.filter((name) => name.endsWith('.cjs'))
  expect(programs.length).toBeGreaterThan(5)
  for (const name of programs) expect(files).toContain(`${name}.${process.version}-${process.arch}`)
})

it('leaves a package outside that has files beside its code, and finds it', async () => {
  const words = ['classify', '--format', 'tsv', 'select 1']
  const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, ...words])
  expect(stdout).toContain('read\treplica\tREADS_ONLY')
})
