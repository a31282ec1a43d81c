import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runWords, serveApi, type Outcome } from '../../test/support/command-line.ts'
import { FakeOperations } from '../../test/support/fake-operations.ts'
import type { FakeWorld } from '../../test/support/fake-world.ts'
import { sampleView } from '../../test/support/sample-view.ts'
import type { ApiServer } from '../api/server.ts'

const TOKEN = 'cli-test-token'

let operations: FakeOperations
let server: ApiServer
let url: string
let folder: string

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pg-metako-cli-'))
  operations = new FakeOperations(sampleView())
  ;({ server, url } = await serveApi(operations, TOKEN))
})

afterEach(async () => {
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

function cli(words: string, options: ConstructorParameters<typeof FakeWorld>[0] = {}): Promise<Outcome> {
  const list = words.split(' ').filter((word) => word !== '')
  return runWords(list, { cwd: folder, ...options })
}

/** Words that may change something. */
const auth = () => `--url ${url} --token ${TOKEN}`

/** A port that nobody listens on: the server had it a moment ago. */
async function closedUrl(): Promise<string> {
  await server.stop()
  return url
}

function writeConfig(port: number, extra = ''): string {
  const path = join(folder, 'node.yaml')
  mkdirSync(join(folder, 'state'), { recursive: true })
  writeFileSync(
    path,
    `identity:
  node_name: n1
  api_host: 127.0.0.1
  api_port: ${port}
local_db:
  host: 127.0.0.1
  port: 5432
  username: postgres
  password: pf3-Qz81kk
  database: postgres
cluster_members:
  - { node_name: n2, api_host: 127.0.0.1, api_port: 1 }
  - { node_name: n3, api_host: 127.0.0.1, api_port: 2 }
paths:
  state_dir: ${join(folder, 'state')}
${extra}`,
  )
  return path
}

describe('exit codes', () => {
  it('0: done', async () => {
    expect((await cli(`list --url ${url}`)).code).toBe(0)
    expect((await cli('--version')).code).toBe(0)
    expect((await cli('list --help')).code).toBe(0)
  })

  it('1: the agent refuses, or it fails', async () => {
    operations.outcome = {
      kind: 'refused',
      reason: 'CANDIDATE_NOT_ELIGIBLE',
      message: 'n2 lags',
      remedy: 'Wait',
    }
    const refused = await cli(`switchover --candidate n2 --force ${auth()}`)
    expect([refused.code, refused.err]).toEqual([1, 'pg-metako: n2 lags\nhint: Wait\n'])
    const wrongToken = await cli(`switchover --force --url ${url} --token wrong`)
    expect(wrongToken.code).toBe(1)
    expect(wrongToken.err).toContain('hint: Send "Authorization: Bearer TOKEN"')
  })

  it('2: wrong usage or config', async () => {
    for (const words of [
      'frobnicate',
      'list --nope',
      '--format xml list',
      'dsn --role x',
      'list extra',
      'list',
    ]) {
      const { code, err, out } = await cli(words)
      expect(code, words).toBe(2)
      expect(err.split('\n')[0], words).toMatch(/^pg-metako: Cannot /)
      expect(out).toBe('')
    }
    expect((await cli('list --config /does/not/exist.yaml')).code).toBe(2)
    expect((await cli('list --url not-a-url')).code).toBe(2)
    expect((await cli(`switchover --force --url ${url}`)).err).toContain('without a token')
  })

  it('3: nobody answers', async () => {
    const { code, err } = await cli(`list --url ${await closedUrl()}`)
    expect(code).toBe(3)
    expect(err).toMatch(/^pg-metako: Cannot reach the cluster \(from --url\): .*ECONNREFUSED.*\nhint: .*\n$/)
  })
})

describe('the command line', () => {
  it('names the command that was probably meant', async () => {
    expect((await cli('swichover')).err).toContain('Did you mean "switchover"?')
  })

  it('takes global options before and after the command', async () => {
    const before = await cli(`--format json --url ${url} list`)
    const after = await cli(`list --url ${url} --format json`)
    expect(before.out).toBe(after.out)
    expect(JSON.parse(before.out)).toMatchObject({ cluster: 'main' })
  })

  it('prints the version of package.json', async () => {
    expect((await cli('--version')).out).toMatch(/^pg-metako version \d+\.\d+\.\d+\n$/)
  })

  it('runs the agent when there is no command', async () => {
    expect((await cli('')).world.agentRuns).toEqual(['configs/config.yaml'])
    expect((await cli('--config /etc/x.yaml')).world.agentRuns).toEqual(['/etc/x.yaml'])
  })

  it('checks a config without running it', async () => {
    const good = await cli(`--config ${writeConfig(8008)} --validate`)
    expect([good.code, good.err]).toEqual([0, ''])
    expect(good.out).toContain('config is valid')
    expect(good.out).not.toContain('pf3-Qz81kk')
    const bad = await cli(`--config ${writeConfig(8008, 'heartbeat: 1\n')} --validate`)
    expect([bad.code, bad.out]).toEqual([2, ''])
    expect(bad.err).toContain('node.yaml:')
    expect([...good.world.agentRuns, ...bad.world.agentRuns]).toEqual([])
  })
})

describe('docs/reference/cli.md', () => {
  it('names every command and every global option', async () => {
    const text = readFileSync(new URL('../../docs/reference/cli.md', import.meta.url), 'utf8')
    const help = (await cli('--help')).out
    const words = [...help.matchAll(/^ {2}(?:-\w, )?(--[a-z]+|[a-z]+)/gm)].flatMap((match) => match[1] ?? [])
    expect(words.length).toBeGreaterThan(10)
    for (const word of words.filter((one) => one !== '--help'))
      expect(text).toMatch(new RegExp(`[\`, ]${word}\\b`))
  })
})

describe('finding the cluster', () => {
  it('by --config: the own API, and the token in the state folder', async () => {
    const config = writeConfig(Number(new URL(url).port))
    expect((await cli(`list --config ${config}`)).code).toBe(0)
    const without = await cli(`switchover --force --config ${config}`)
    expect(without.code).toBe(2)
    expect(without.err).toContain('the agent has not made it yet')
    writeFileSync(join(folder, 'state', 'token'), `${TOKEN}\n`)
    expect((await cli(`switchover --force --config ${config}`)).code).toBe(0)
  })

  it('by --config: another member, while the own agent is down', async () => {
    const { port } = new URL(url)
    const config = join(folder, 'node.yaml')
    writeFileSync(
      config,
      `identity: { node_name: n1, api_host: 127.0.0.1, api_port: 1 }
local_db: { host: 127.0.0.1, port: 5432, username: postgres, password: x, database: postgres }
cluster_members: [{ node_name: n2, api_host: 127.0.0.1, api_port: ${port} }, { node_name: n3, api_host: 127.0.0.1, api_port: 2 }]
`,
    )
    expect((await cli(`list --config ${config}`)).code).toBe(0)
  })

  it('by the environment', async () => {
    const env = { PG_METAKO_URL: url, PG_METAKO_TOKEN: TOKEN }
    expect((await cli('switchover --force', { env })).code).toBe(0)
  })

  it('by the demo in this folder', async () => {
    mkdirSync(join(folder, '.pg-metako'))
    writeFileSync(join(folder, 'token'), TOKEN)
    writeFileSync(
      join(folder, '.pg-metako', 'demo.json'),
      JSON.stringify({
        version: '0.1.0',
        tokenFile: join(folder, 'token'),
        nodes: [
          { name: 'n1', api: 'http://127.0.0.1:1/' },
          { name: 'n2', api: `${url}/` },
        ],
      }),
    )
    expect((await cli('switchover --force')).code).toBe(0)
    expect(operations.changes).toEqual(['switchover n1 *'])
    expect((await cli('dsn')).out).toMatch(/ user=app dbname=app\n$/)
  })

  it('prefers a member that sees a majority', async () => {
    const cutOff = new FakeOperations(
      sampleView({ scope: 'cut off', consensus: { ...sampleView().consensus, hasQuorum: false } }),
    )
    const other = await serveApi(cutOff, TOKEN)
    try {
      expect((await cli(`list --url ${other.url},${url}`)).out).toContain('Cluster: main')
      expect((await cli(`list --url ${other.url}`)).out).toContain('NO QUORUM')
    } finally {
      await other.server.stop()
    }
  })
})

describe('reinit', () => {
  it('shows the cluster, asks, and does what was confirmed', async () => {
    const { code, out, world } = await cli(`reinit n2 ${auth()}`, { answers: ['y'] })
    expect([code, world.questions]).toEqual([0, ['Replace all data of "n2" by a new clone? [y/N] ']])
    expect(out).toContain('"n2" clones "n1" anew')
    expect(operations.changes).toEqual(['reinit n2'])
  })

  it('changes nothing without a yes, nor where nobody can be asked', async () => {
    for (const answer of ['', 'n', undefined])
      expect((await cli(`reinit n2 ${auth()}`, { answers: [answer] })).code).toBe(1)
    expect((await cli(`reinit n2 ${auth()}`)).code).toBe(2)
    expect(operations.changes).toEqual([])
  })

  it('refuses the primary, and whom it does not know, before it asks', async () => {
    const primary = await cli(`reinit n1 ${auth()}`)
    expect([primary.code, primary.err]).toEqual([
      1,
      'pg-metako: Cannot clone "n1" anew: it is the primary\nhint: First: pg-metako switchover\n',
    ])
    expect((await cli(`reinit n22 --force ${auth()}`)).err).toContain('Did you mean n2?')
    expect(operations.changes).toEqual([])
  })

  it('answers in JSON, for scripts', async () => {
    const { out } = await cli(`reinit n2 --force --format json ${auth()}`)
    expect(JSON.parse(out)).toEqual({ name: 'n2', from: 'n1' })
  })
})

describe('router restart', () => {
  it('says which processes have the ports and the clients', async () => {
    const { code, out } = await cli(`router restart ${auth()}`)
    expect(code).toBe(0)
    expect(out).toContain(
      'Process 12 has the ports of the router of "n1"; process 11 ends behind its clients, after 300 s',
    )
    expect(operations.changes).toEqual(['restart router'])
  })

  it('asks the member that is named, and no other in its place', async () => {
    expect((await cli(`router restart n1 ${auth()}`)).code).toBe(0)
    expect((await cli(`router restart n2 ${auth()}`)).err).toContain('Cannot reach the agent of "n2"')
    expect((await cli(`router restart n11 ${auth()}`)).err).toContain('Did you mean n1?')
    expect(operations.changes).toEqual(['restart router'])
  })

  it('can be read by scripts', async () => {
    const { out } = await cli(`router restart --format json ${auth()}`)
    expect(JSON.parse(out)).toEqual({ node: 'n1', router: 12, retiring: 11, drainTimeoutMs: 300_000 })
  })
})

describe('confirm-down', () => {
  it('says the price, asks, and does what was confirmed', async () => {
    const { code, out, world } = await cli(`confirm-down n1 ${auth()}`, { answers: ['y'] })
    expect(code).toBe(0)
    expect(world.questions[0]).toContain('two primaries will write')
    expect(out).toContain('"n1" is taken for down: the others take over from epoch 2')
    expect(operations.changes).toEqual(['confirm-down n1'])
  })

  it('changes nothing without a yes, where nobody can be asked, and for a name that nobody has', async () => {
    expect((await cli(`confirm-down n1 ${auth()}`, { answers: ['n'] })).code).toBe(1)
    expect((await cli(`confirm-down n1 ${auth()}`)).code).toBe(2)
    expect((await cli(`confirm-down n11 --force ${auth()}`)).err).toContain('Did you mean n1?')
    expect(operations.changes).toEqual([])
  })

  it('answers in JSON, for scripts', async () => {
    const { out } = await cli(`confirm-down n1 --force --format json ${auth()}`)
    expect(JSON.parse(out)).toEqual({ name: 'n1', epoch: 2 })
  })
})

describe('switchover', () => {
  it('shows the cluster, asks, and does what was confirmed', async () => {
    const { code, out, err, world } = await cli(`switchover --candidate n2 ${auth()}`, { answers: ['y'] })
    expect(code).toBe(0)
    expect(world.questions).toEqual(['Switch over from "n1" to "n2"? [y/N] '])
    expect(err).toContain('Cluster: main')
    expect(out).toBe('Switched over from "n1" to "n2" in 90 ms (epoch 3)\n')
    expect(operations.changes).toEqual(['switchover n1 n2'])
  })

  it('changes nothing without a yes', async () => {
    for (const answer of ['', 'n', 'yesterday', undefined]) {
      expect((await cli(`switchover ${auth()}`, { answers: [answer] })).code).toBe(1)
    }
    expect(operations.changes).toEqual([])
  })

  it('wants --force where nobody can be asked', async () => {
    const { code, err } = await cli(`switchover ${auth()}`)
    expect([code, err.includes('--force')]).toEqual([2, true])
    expect(operations.changes).toEqual([])
  })

  it('knows the members by name', async () => {
    const { code, err } = await cli(`switchover --candidate n22 --force ${auth()}`)
    expect([code, err.includes('Did you mean n2?')]).toEqual([1, true])
    expect(operations.changes).toEqual([])
  })

  it('that got no answer may have happened, and it says so', async () => {
    operations.switchover = () => {
      void server.stop()
      return new Promise(() => undefined)
    }
    const { code, err } = await cli(`switchover --force ${auth()}`)
    expect([code, err.includes('It may have happened all the same')]).toEqual([3, true])
  })

  it('answers in JSON, for scripts', async () => {
    const { out } = await cli(`switchover --force --format json ${auth()}`)
    expect(JSON.parse(out)).toEqual({ from: 'n1', to: 'n2', epoch: 3, tookMs: 90 })
  })
})

describe('hold and unhold', () => {
  it('say what it means, and that nobody is left where that is so', async () => {
    const { out } = await cli(`hold n2 --reason work ${auth()}`)
    expect(out).toContain('"n2" is held: it takes over from nobody and gets no reads from routers')
    const others = sampleView().members.map(({ facts, ...one }) => ({
      ...one,
      facts: { ...facts, instance: { ...facts.instance, streaming: facts.name === 'n2' } },
    }))
    operations.current = sampleView({ members: others })
    expect((await cli(`hold n2 ${auth()}`)).out).toContain('Nobody else could take over now')
    expect((await cli(`unhold n2 ${auth()}`)).out).toBe('"n2" is held no more.\n')
    expect(operations.changes).toEqual(['hold n2 work', 'hold n2', 'unhold n2'])
  })

  it('pass on what a member says to it, know misspelt names, and answer in JSON', async () => {
    operations.holdOutcome = { kind: 'refused', reason: 'IS_PRIMARY', message: '"n1" is the primary' }
    const { code, err } = await cli(`hold n1 ${auth()}`)
    expect([code, err.includes('"n1" is the primary')]).toEqual([1, true])
    expect((await cli(`unhold n22 ${auth()}`)).err).toContain('Did you mean n2?')
    operations.holdOutcome = undefined
    const answer = await cli(`hold n2 --format json ${auth()}`)
    expect(JSON.parse(answer.out)).toEqual({ name: 'n2', held: true })
  })
})

describe('edit-config', () => {
  it('shows what changes and asks, changes it, and says what waits for a restart', async () => {
    operations.settings = { postgresql: { parameters: { work_mem: '4MB' } } }
    const waits = (one: ReturnType<typeof sampleView>['members'][number]) => ({
      ...one,
      facts: { ...one.facts, instance: { ...one.facts.instance, pendingRestart: ['max_connections'] } },
    })
    operations.current = sampleView({ members: sampleView().members.map(waits) })
    const words = `edit-config -p max_connections=200 -p work_mem= ${auth()}`
    const { out, world } = await cli(words, { answers: ['y'] })
    expect(world.stderr.text).toContain(
      '  postgresql.parameters.max_connections: not set -> 200\n  postgresql.parameters.work_mem: "4MB" -> not set\n',
    )
    expect(out).toContain(
      'Changed 2 settings of the whole cluster.\nOn "n1" waits for a restart: max_connections\n',
    )
    expect(out).toContain('pg-metako restart --pending')
    expect(operations.settings).toEqual({ postgresql: { parameters: { max_connections: 200 } } })
  })

  it('says where the file of a node decides, so that the change is not in force there', async () => {
    const keeps = (one: ReturnType<typeof sampleView>['members'][number]) => ({
      ...one,
      facts: { ...one.facts, keptParameters: ['max_connections'] },
    })
    operations.current = sampleView({ members: sampleView().members.map(keeps) })
    const { out } = await cli(`edit-config --pg max_connections=200 --force ${auth()}`)
    expect(out).toContain('On "n1" its own file decides, and says otherwise: max_connections\n')
    expect(out).not.toContain('restart')
    expect((await cli(`list ${auth()}`)).out).toContain('its own file decides: max_connections')
  })

  it('changes nothing without a yes, what is so already, and what cannot be', async () => {
    operations.settings = { pause: true }
    expect((await cli(`edit-config --set pause= ${auth()}`, { answers: ['n'] })).code).toBe(1)
    expect((await cli(`edit-config --set pause=true --force ${auth()}`)).err).toContain('set so already')
    const refused = await cli(`edit-config --set tll=30 --force ${auth()}`)
    expect([refused.code, refused.err.includes('"tll" cannot be set')]).toEqual([1, true])
    expect((await cli(`edit-config ${auth()}`)).code).toBe(2)
    expect((await cli(`edit-config --pg work_mem ${auth()}`)).err).toContain('wanted NAME=VALUE')
    expect(operations.settings).toEqual({ pause: true })
  })
})

describe('restart', () => {
  it('goes from one member to the next, standbys first and the primary last, and waits until each is back', async () => {
    const { out } = await cli(`restart --force ${auth()}`)
    expect(operations.changes).toEqual(['restart n2 {}', 'restart n3 {}', 'restart n1 {}'])
    expect(out).toBe('"n2" restarted in 412 ms\n"n3" restarted in 412 ms\n"n1" restarted in 412 ms\n')
  })

  it('means those that are named, of that role, or on which a setting waits for it', async () => {
    await cli(`restart --role primary --force ${auth()}`)
    await cli(`restart n3 --force ${auth()}`)
    expect(operations.changes).toEqual(['restart n1 {}', 'restart n3 {}'])
    expect((await cli(`restart --pending --force ${auth()}`)).err).toContain('no member is meant')
    expect((await cli(`restart n33 --force ${auth()}`)).err).toContain('Did you mean n3?')
  })

  it('asks first, and answers in JSON for scripts', async () => {
    expect((await cli(`restart n2 ${auth()}`, { answers: ['n'] })).code).toBe(1)
    expect(operations.changes).toEqual([])
    const { out } = await cli(`restart n2 --force --format json ${auth()}`)
    expect(JSON.parse(out)).toEqual({ restarted: [{ name: 'n2', tookMs: 412 }] })
  })
})

describe('pause and resume', () => {
  it('say what it costs, and wait for every member that is heard to know it', async () => {
    const { out } = await cli(`pause ${auth()}`)
    expect(out).toBe(
      'The cluster is paused: nobody takes over, and what stops stays down until "pg-metako resume".\n',
    )
    const told = sampleView().members.map(({ facts, ...one }) => ({
      ...one,
      facts: { ...facts, paused: true as const },
    }))
    let looks = 0
    operations.view = () => {
      looks += 1
      const paused = looks < 2 ? { paused: true as const } : {}
      return sampleView(looks < 4 ? { members: told, ...paused } : {})
    }
    expect((await cli(`resume --wait ${auth()}`)).out).toBe(
      'The cluster is resumed: take-overs happen again.\n',
    )
    expect(operations.changes).toEqual(['config {"pause":true}', 'config {}'])
    expect(looks).toBe(4)
  })

  it('refuse what is so already, and what nobody may without the token', async () => {
    expect(await cli(`resume ${auth()}`)).toMatchObject({
      code: 1,
      err: expect.stringContaining('not paused'),
    })
    expect((await cli(`pause --url ${url}`)).code).toBe(2)
    expect(operations.changes).toEqual([])
  })

  it('show-config has what is set, for people and for scripts', async () => {
    await cli(`pause ${auth()}`)
    expect((await cli(`show-config --url ${url}`)).out).toBe('pause: true\n')
    expect(JSON.parse((await cli(`show-config --format json --url ${url}`)).out)).toEqual({ pause: true })
    expect((await cli(`show-config --format tsv --url ${url}`)).out).toBe('setting\tvalue\npause\ttrue\n')
  })
})

describe('the other commands', () => {
  it('history tells every change of primary, and what it lost', async () => {
    operations.current = sampleView({
      losses: [
        {
          epoch: 2,
          member: 'n3',
          timeline: 1,
          forkLsn: '0/3000148',
          endLsn: '0/3000400',
          bytes: 696,
          transactions: 3,
          xids: [7, 8, 9],
          keptIn: '/var/lib/x',
          foundAt: '2026-05-04T02:00:09.000Z',
        },
      ],
    })
    const { out } = await cli(`history --url ${url}`)
    expect(`\n${out}`).toBe(`
+ History: main --+----+-----------+-----------------+-----------+--------------------------+----------------+
| Epoch | Primary | TL |  From LSN | Reason          | Taken by  | Time                     | Lost           |
+-------+---------+----+-----------+-----------------+-----------+--------------------------+----------------+
|     1 | n3      |  1 |       0/0 | BOOTSTRAP       | bootstrap | 2026-05-04T01:00:00.000Z |                |
|     2 | n1      |  2 | 0/3000148 | PRIMARY_CRASHED | lease     | 2026-05-04T02:00:00.000Z | 3 transactions |
+-------+---------+----+-----------+-----------------+-----------+--------------------------+----------------+
epoch 2: n3 had 3 transactions (696 B) behind 0/3000148; their WAL is kept in /var/lib/x
epoch 2, n2 to n1, in milliseconds: noticed 0 (n2 says that its PostgreSQL is crashed), begun 12 (PRIMARY_CRASHED), open 160
  not chosen: n3 is as good, and ranks behind
`)
  })

  it('dsn names all routers, the nearest first', async () => {
    operations.current = sampleView({ self: 'n2' })
    expect((await cli(`dsn --url ${url}`)).out).toBe('host=10.0.0.2,10.0.0.1,10.0.0.3 port=5433,5433,5433\n')
    expect((await cli(`dsn --role pooled --format tsv --url ${url}`)).out).toContain('10.0.0.2\t6432\n')
    expect((await cli(`dsn --member n3 --url ${url}`)).out).toBe('host=10.0.0.3 port=5432\n')
    expect((await cli(`dsn --member n9 --url ${url}`)).code).toBe(1)
  })

  it('dsn says as whom and where an application logs in, as the cluster began, and no password', async () => {
    const began = `bootstrap:
  users: [{ name: "o'hara", password: aX9-secret }]
  databases: [{ name: main shop, owner: "o'hara" }]
`
    const config = writeConfig(Number(new URL(url).port), began)
    const { out } = await cli(`dsn --config ${config}`)
    expect(out).toBe(
      "host=10.0.0.1,10.0.0.2,10.0.0.3 port=5433,5433,5433 user='o\\'hara' dbname='main shop'\n",
    )
    const { out: json } = await cli(`dsn --format json --config ${config}`)
    expect(JSON.parse(json)).toMatchObject({
      user: "o'hara",
      database: 'main shop',
      uri: "postgresql://o'hara@10.0.0.1:5433,10.0.0.2:5433,10.0.0.3:5433/main%20shop",
    })
    expect(out + json).not.toContain('aX9-secret')
  })

  it('topology draws the tree', async () => {
    expect((await cli(`topology --url ${url}`)).out).toContain('| + n2 ')
  })

  it('version tells what runs on every member', async () => {
    expect((await cli('version')).out).toMatch(/pg-metako version \d/)
    const { out } = await cli(`version --format json --url ${url}`)
    expect(JSON.parse(out)).toMatchObject({
      members: [{ member: 'n1', agent: '0.1.0', postgresql: '18.4' }, {}, {}],
    })
  })
})
