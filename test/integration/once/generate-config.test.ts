import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest'
import { Cluster } from '../../support/cluster.ts'
import { freePorts } from '../../support/free-ports.ts'
import { handsOn } from '../../support/loopback-machines.ts'
import { runProgram, type TestNode } from '../../support/machines.ts'
import { connectTo } from '../../support/numbered-writer.ts'
import { describePostgres, Workspace } from '../../support/postgres.ts'

const HOST = '127.0.0.1'
const PASSWORD = 'of the old one'
const SETTINGS = [
  'work_mem = 7MB',
  'shared_buffers = 16MB',
  "log_line_prefix = '%m [%p] a ''quoted'' # prefix '",
]
const HBA = ['local all all scram-sha-256 # by password', `host all all ${HOST}/32 scram-sha-256`]

describePostgres('a configuration that is made from a running PostgreSQL', (postgres) => {
  let workspace: Workspace
  let cluster: Cluster | undefined
  let old: { readonly dataDir: string; readonly port: number }

  beforeAll(async () => {
    workspace = new Workspace(postgres())
    const port = await freePorts(HOST, 1)
    old = { dataDir: join(workspace.folder, 'old'), port }
    const passwordFile = join(workspace.folder, 'password')
    writeFileSync(passwordFile, PASSWORD)
    workspace.own(passwordFile)
    const words = [
      '-D',
      old.dataDir,
      '-U',
      'boss',
      '-A',
      'scram-sha-256',
      '--wal-segsize=2',
      '-E',
      'UTF8',
      '--locale=C',
    ]
    asDatabaseUser('initdb', ...words, `--pwfile=${passwordFile}`)
    appendFileSync(
      join(old.dataDir, 'postgresql.conf'),
      [
        ...SETTINGS,
        `port = ${port}`,
        `listen_addresses = '${HOST}'`,
        `unix_socket_directories = '${workspace.folder}'`,
        '',
      ].join('\n'),
    )
    writeFileSync(join(old.dataDir, 'pg_hba.conf'), `# who may connect\n\n${HBA.join('\n')}\n`)
    asDatabaseUser('pg_ctl', '-D', old.dataDir, '-w', '-l', join(workspace.folder, 'old.log'), 'start')
  })
  afterAll(async () => {
    // Order: the folder of both goes with the cluster.
    asDatabaseUser('pg_ctl', '-D', old.dataDir, '-m', 'immediate', 'stop')
    await cluster?.dispose()
    await workspace.dispose()
  })

  function asDatabaseUser(program: string, ...words: readonly string[]): void {
    const { binaries, osUser } = postgres()
    execFileSync(join(binaries.folder, program), words, {
      stdio: 'ignore',
      cwd: '/',
      ...(osUser ? { uid: osUser.uid, gid: osUser.gid } : {}),
    })
  }

  it('is valid, and a node that starts with it has the same settings, rules and superuser', async () => {
    const file = join(workspace.folder, 'patroni.yml')
    const dsn = `host=${HOST} port=${old.port} user=boss password='${PASSWORD}'`
    const made = await runProgram(['--generate-config', file, '--dsn', dsn], workspace.folder)
    expect([made.code, made.err]).toEqual([0, `Written: ${file}\n`])
    const text = readFileSync(file, 'utf8')
    expect(text).toContain(`data_dir: "${old.dataDir}.new"`)
    expect(text).toContain(`bin_dir: "${realpathSync(postgres().binaries.folder)}"`)
    const checked = await runProgram(['--config', file, '--validate-config'], workspace.folder)
    expect(checked.code).toBe(0)
    expect(checked.out).toContain('config is valid')

    const node = await nodeLike(text, file)
    cluster = new Cluster({
      nodes: [node],
      appPassword: '',
      apiToken: () => '',
      ...handsOn([node], workspace.folder),
    })
    const running = cluster
    onTestFailed(() => console.error(running.logTails()))
    running.startAll()
    await running.waitForHealthy(60_000)
    const client = await connectTo(
      `postgresql://boss:${encodeURIComponent(PASSWORD)}@${HOST}:${node.ports.postgres}/postgres`,
    )
    const { rows } = await client.query<{ name: string; value: string }>(
      "select name, current_setting(name) as value from pg_settings where name in ('work_mem', 'shared_buffers', 'log_line_prefix', 'wal_segment_size') order by name",
    )
    expect(rows.map(({ name, value }) => `${name}=${value}`)).toEqual([
      "log_line_prefix=%m [%p] a 'quoted' # prefix ",
      'shared_buffers=16MB',
      'wal_segment_size=2MB',
      'work_mem=7MB',
    ])
    const rules = await client.query(
      "select 1 from pg_hba_file_rules where type = 'host' and database = '{all}' and user_name = '{all}' and address = $1",
      [HOST],
    )
    expect(rules.rowCount).toBe(1)
    await client.end()
  })

  /** The node of that file, on ports that are free and in a folder that the database user may write to. */
  async function nodeLike(text: string, configFile: string): Promise<TestNode> {
    const api = await freePorts(HOST, 2)
    const folder = join(workspace.folder, 'new')
    mkdirSync(folder)
    workspace.own(folder)
    const dataDir = join(folder, 'data')
    const [, name = ''] = /^name: "?([^"\n]+)/m.exec(text) ?? []
    const moved = text
      .replace(/data_dir: .*/, `data_dir: ${dataDir}`)
      .replaceAll(/(listen|connect_address): "?[^"\n]*:8008"?/g, `$1: "${HOST}:${api}"`)
      .replaceAll(
        new RegExp(`(listen|connect_address): "?[^"\\n]*:${old.port}"?`, 'g'),
        `$1: "${HOST}:${api + 1}"`,
      )
      .replace(/api_host: .*/, `api_host: ${HOST}`)
      .replace(/api_port: .*/, `api_port: ${api}`)
    writeFileSync(configFile, moved, { mode: 0o600 })
    return {
      name,
      host: HOST,
      ports: { api, primary: 0, replica: 0, pooled: 0, postgres: api + 1 },
      api: `http://${HOST}:${api}/`,
      folder,
      configFile,
      logFile: join(workspace.folder, 'agent.log'),
      stateDir: `${dataDir}.metako`,
      dataDir,
      runDir: `${dataDir}.metako/run`,
    }
  }
})
