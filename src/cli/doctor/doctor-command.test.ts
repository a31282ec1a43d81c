import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Diagnosis } from '#client'
import { runWords, serveApi, type Outcome } from '../../../test/support/command-line.ts'
import { FakeOperations } from '../../../test/support/fake-operations.ts'
import type { FakeWorld } from '../../../test/support/fake-world.ts'
import { sampleDatabase, sampleDoctor } from '../../../test/support/sample-doctor.ts'
import { sampleMember, sampleView } from '../../../test/support/sample-view.ts'
import type { ApiServer } from '../../api/server.ts'

const TOKEN = 'doctor-test-token'
let servers: ApiServer[] = []
let urls: string[] = []
let operations: readonly FakeOperations[]
let folder: string

/** n1 and n2, with which nothing is wrong. */
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pg-metako-doctor-'))
  operations = ['n1', 'n2'].map(() => new FakeOperations(sampleView()))
  for (const [index, one] of operations.entries()) {
    const role = index === 0 ? 'primary' : 'standby'
    one.doctorDocument = sampleDoctor(`n${index + 1}`, { database: sampleDatabase({ role }) })
    const { server, url } = await serveApi(one, TOKEN)
    servers.push(server)
    urls.push(url)
  }
  for (const [index, one] of operations.entries())
    one.current = sampleView({
      self: `n${index + 1}`,
      takenAt: new Date().toISOString(),
      consensus: { ...sampleView().consensus, voters: ['n1'] },
      members: urls.map((apiUrl, at) =>
        sampleMember(`n${at + 1}`, {
          facts: { apiUrl },
          instance: { role: at === 0 ? 'primary' : 'standby', streaming: at > 0 },
        }),
      ),
    })
})

afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop()))
  servers = []
  urls = []
  rmSync(folder, { recursive: true, force: true })
})

function doctor(words: string, options: ConstructorParameters<typeof FakeWorld>[0] = {}): Promise<Outcome> {
  const list = ['doctor', ...words.split(' ').filter(Boolean)]
  return runWords(list, { cwd: folder, ...options })
}

const asked = () => `--url ${urls[0]} --token ${TOKEN}`

async function diagnosesOf(words: string): Promise<{ code: number; diagnoses: readonly Diagnosis[] }> {
  const { code, out } = await doctor(`${words} --format json`)
  return { code, diagnoses: (JSON.parse(out) as { diagnoses: readonly Diagnosis[] }).diagnoses }
}

describe('the exit code', () => {
  it('0: nothing worse than a note', async () => {
    const { code, out } = await doctor(asked())
    expect(out).toMatch(/^cluster main, 2 of 2 members looked at: 0 errors, 0 warnings, \d+ notes, \d+ ok\n/)
    expect(out).not.toMatch(/^ok /m)
    expect(code).toBe(0)
    expect((await doctor(`${asked()} --all`)).out).toMatch(/^ok +n1 and n2: /m)
  })

  it('1: a warning, of one member, with its fix below it', async () => {
    const slots = [{ name: 'cdc', isActive: false, isOwn: false, keepsBytes: 1024 }]
    operations[0]!.doctorDocument = sampleDoctor('n1', {
      database: sampleDatabase({ role: 'primary', slots }),
    })
    const { code, out } = await doctor(asked())
    expect(code).toBe(1)
    expect(out).toContain(`
warning n1: slot cdc is used by nobody and keeps 1 kB of WAL, more with each commit (SLOT_UNUSED)
        fix: If its consumer does not come back: select pg_drop_replication_slot('cdc')
`)
  })

  it('2: an error; also where a member that should be looked at does not answer', async () => {
    await servers[1]!.stop()
    const { code, diagnoses } = await diagnosesOf(asked())
    expect(code).toBe(2)
    expect(diagnoses[0]).toMatchObject({ code: 'NOT_LOOKED_AT', severity: 'error', member: 'n2' })
    expect(diagnoses[0]?.evidence).toContain('ECONNREFUSED')
  })

  it('3: nobody answers', async () => {
    await Promise.all(servers.map((server) => server.stop()))
    expect((await doctor(asked())).code).toBe(3)
  })
})

it('looks at the cluster without a token, and says whom it could not look at', async () => {
  const { code, diagnoses } = await diagnosesOf(`--url ${urls[0]}`)
  expect(code).toBe(1)
  expect(diagnoses.filter((one) => one.code === 'NO_TOKEN').map((one) => one.member)).toEqual(['n1', 'n2'])
  expect(diagnoses.find((one) => one.code === 'PRIMARY')?.severity).toBe('ok')
})

it('compares what only all of them together show', async () => {
  operations[1]!.doctorDocument = sampleDoctor('n2', { software: { agent: '0.0.9', runtime: '20.19.5' } })
  operations[1]!.current = { ...operations[1]!.current, takenAt: '2020-01-01T00:00:00.000Z' }
  const { code, diagnoses } = await diagnosesOf(asked())
  expect(code).toBe(1)
  const found = diagnoses.filter(({ severity }) => severity === 'warning').map((one) => one.code)
  expect(found).toEqual(['RELEASES_DIFFER', 'CLOCKS_APART'])
})

it('has a form for scripts', async () => {
  const { out } = await doctor(`${asked()} --format tsv`)
  const [head, ...rows] = out.trimEnd().split('\n')
  expect(head).toBe('severity\tmember\tcheck\tcode\tevidence\tfix')
  expect(rows.some((row) => row.startsWith('ok\tn2\tdisk-flush\tDISK_FLUSH\t'))).toBe(true)
})

describe('with --config', () => {
  /** A folder whose `postgres` does this. */
  function programs(script: string): string {
    const bin = join(folder, 'bin')
    mkdirSync(bin, { recursive: true })
    writeFileSync(join(bin, 'postgres'), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    return bin
  }

  function write(extra = ''): string {
    const path = join(folder, 'node.yaml')
    const port = Number(new URL(urls[0]!).port)
    writeFileSync(
      path,
      `identity: { node_name: n1, api_host: 127.0.0.1, api_port: ${port} }
local_db: { host: 127.0.0.1, port: 1, username: postgres, password: x, database: postgres }
cluster_members:
  - { node_name: n2, api_host: 127.0.0.1, api_port: 2 }
  - { node_name: n3, api_host: 127.0.0.1, api_port: 3 }
security: { cluster_secret: yQ8-nnVd02Lm44xs, api_token: ${TOKEN} }
postgresql: { data_dir: ${join(folder, 'data')}, bin_dir: ${programs('echo postgres 18.4')} }
router: { primary_port: 4, replica_port: 5, pooled_port: 6 }
paths: { state_dir: ${join(folder, 'state')}, run_dir: ${join(folder, 'run')} }
${extra}`,
    )
    return path
  }

  it('tells every problem of a file that is refused, asks nobody, and exits with 2', async () => {
    const { code, out } = await doctor(`--config ${write('nonsense: 1\n')}`)
    expect(code).toBe(2)
    expect(out).toMatch(/^configuration .*node\.yaml: 1 error/)
    expect(out).toMatch(/error +.*node\.yaml line 10: nonsense: .*\(CONFIG_INVALID\)\n +fix: /)
  })

  it('looks at the cluster where it runs', async () => {
    const { code, diagnoses } = await diagnosesOf(`--config ${write()}`)
    expect(code).toBe(0)
    expect(diagnoses.map((one) => one.code)).toEqual(expect.arrayContaining(['CONFIG_VALID', 'PRIMARY']))
  })

  it('looks at the host where no agent runs yet: ports, folders, programs, disks', async () => {
    const config = write()
    await Promise.all(servers.map((server) => server.stop()))
    const { diagnoses } = await diagnosesOf(`--config ${config}`)
    const codes = diagnoses.map((one) => one.code)
    expect(codes).toEqual(
      expect.arrayContaining([
        'PORTS_FREE',
        'DATA_FOLDER',
        'PROGRAMS',
        'OTHERS_SILENT',
        'DISK_SPACE',
        'RUNTIME',
      ]),
    )
    programs('echo broken >&2; exit 1')
    const broken = await diagnosesOf(`--config ${config}`)
    expect(broken.code).toBe(2)
    expect(broken.diagnoses.find((one) => one.severity === 'error')).toMatchObject({
      code: 'PROGRAMS_MISSING',
    })
  })

  it('says which port is taken, and whose files lie in the way, before anything is started', async () => {
    const taken = new URL(urls[0]!).port
    mkdirSync(join(folder, 'data'))
    writeFileSync(join(folder, 'data', 'letter.txt'), '')
    const other = join(folder, 'other.yaml')
    writeFileSync(
      other,
      `identity: { node_name: n1, api_host: 127.0.0.1, api_port: 7 }
local_db: { host: 127.0.0.1, port: 1, username: postgres, password: x, database: postgres }
security: { cluster_secret: yQ8-nnVd02Lm44xs, api_token: ${TOKEN} }
postgresql: { data_dir: ${join(folder, 'data')} }
router: { primary_port: ${taken}, replica_port: 5, pooled_port: 6 }
paths: { state_dir: ${join(folder, 'state')}, run_dir: ${join(folder, 'run')} }
`,
    )
    const { diagnoses } = await diagnosesOf(`--config ${other}`)
    expect(diagnoses.find((one) => one.code === 'PORT_TAKEN')?.evidence).toBe(
      `something listens on port ${taken} already, where the router to the primary should`,
    )
    expect(diagnoses.find((one) => one.code === 'FOREIGN_FILES')?.fix).toContain(`mv ${join(folder, 'data')}`)
  })
})
