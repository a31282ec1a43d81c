import { describe, expect, it } from 'vitest'
import { describeConfig } from './describe-config.ts'
import { formatProblems } from './format-problems.ts'
import { loadConfig, type LoadedConfig } from './load-config.ts'

function load(text: string, env: Readonly<Record<string, string>> = {}): LoadedConfig {
  return loadConfig({ path: 'main.yaml', readText: (path) => (path === 'main.yaml' ? text : undefined), env })
}

const shown = (loaded: LoadedConfig): string =>
  formatProblems(loaded.kind === 'ok' ? loaded.warnings : loaded.problems, loaded.sources)

describe('a problem on the terminal', () => {
  it('shows place, line, caret, rule and remedy, all problems in the order of the file', () => {
    const text = shown(
      load(`identity:
  node_name: node1
local_db: {password_file: /nowhere}
postgresql: {data_dir: /srv/data}
health_check:
  intervall: 2s
  timeout: soon
`),
    )
    expect(text).toBe(`main.yaml:1:1: warning: cluster_members
    1 | identity:
      | ^
    the cluster has one node: when it fails, nothing takes over.
    → list the other nodes under cluster_members; three make automatic failover possible.

main.yaml:3:27: error: local_db.password_file = /nowhere
    3 | local_db: {password_file: /nowhere}
      |                           ^
    the file /nowhere cannot be read.
    → put the secret alone into that file and let the user that runs pg-metako read it (mode 0600).

main.yaml:6:3: error: health_check.intervall
    6 |   intervall: ***
      |   ^
    there is no such key.
    → did you mean "interval"?

main.yaml:7:12: error: health_check.timeout = soon
    7 |   timeout: soon
      |            ^
    must be a duration.
    → write a number with a unit (ms, s, m, h, d), e.g. 500ms, 10s or 1m.

3 errors, 1 warning`)
  })

  it('stays narrow, however long the line of the file is', () => {
    const text = shown(load(`ha: {profile: moon}   # ${'a long comment '.repeat(40)}\n`))
    const widest = Math.max(...text.split('\n').map((line) => line.length))
    expect(widest).toBeLessThanOrEqual(104)
  })
})

describe('a secret', () => {
  const SECRET = 'hunter2-hunter2'
  const texts: Readonly<Record<string, string>> = {
    'in a misspelt key': `local_db:\n  pasword: ${SECRET}\n`,
    'in a key of another product': `postgresql:\n  authentication: {superuser: {password: ${SECRET}}}\n`,
    'in a line with another mistake': `local_db: {port: 99999, password: ${SECRET}}\n`,
    'before a mistake in the same line': `local_db: {password: ${SECRET}, port: 99999}\n`,
    'in quotes that are not closed': `local_db:\n  password: "${SECRET}\n  port: 1\n`,
    'that goes on in the next line': `local_db:\n  password: "x\n  ${SECRET}: y\n`,
    'that starts with a reserved character': `local_db:\n  password: @${SECRET}\n`,
    'that looks like an alias': `local_db:\n  password: *${SECRET}\n`,
    'behind a broken key that begins with a harmless word': `bootstrap:\n  user@app: {assword: ${SECRET}}}\n`,
    'behind a broken key of an item': `local_db:\n- >assword: "${SECRET}"\n  role: primary\n`,
    'that looks like a tag': `local_db:\n  password: !${SECRET} x\n`,
    'with a colon in it': `local_db:\n  password: a: ${SECRET}\n`,
    'with a tab before it': `local_db:\n\tpassword: ${SECRET}\n`,
    'as a list': `local_db:\n  password: [${SECRET}]\n`,
    'as a mapping': `local_db:\n  password: {${SECRET}: }\n`,
    'as a block of lines': `local_db:\n  password: |\n    ${SECRET}\n   bad\n`,
    'in a connection string': `cluster_members:\n  - {node_name: b, api_host: "postgres://u:${SECRET}@db"}\n`,
    'given twice': `local_db:\n  password: ${SECRET}\n  password: ${SECRET}x\n  password_file: f\n`,
    'that is too short': `security: {cluster_secret: ${SECRET.slice(0, 8)}}\n`,
    'of a user': `bootstrap: {users: [{name: app, password: ${SECRET}, option: x}]}\n`,
    'under an unknown section': `secrets:\n  db: ${SECRET}\n`,
    'in the whole file': `${SECRET}\n`,
    'of the older form': `nodes: [{name: a, host: b, password: ${SECRET}}]\n`,
    'of Patroni': `scope: x\nrestapi: {authentication: {password: ${SECRET}}}\nbootstrap: {users: {a: {password: ${SECRET}}}}\n`,
  }

  it.each(Object.entries(texts))('%s is not shown', (_, text) => {
    const loaded = load(text)
    expect(loaded.kind).toBe('refused')
    expect(shown(loaded)).not.toContain('hunter2')
    const { problems } = loaded as LoadedConfig & { kind: 'refused' }
    expect(problems.length).toBeGreaterThan(0)
    expect(JSON.stringify(problems)).not.toContain('hunter2')
  })

  it('of a good config is shown as (set), wherever it comes from', () => {
    const loaded = load(
      `identity: {node_name: node1}
local_db: {password: ${SECRET}}
security: {cluster_secret: ${SECRET}-cluster}
bootstrap: {users: [{name: app, password: ${SECRET}}]}
postgresql: {parameters: {ssl_passphrase_command: echo ${SECRET}, archive_command: "cp postgres://u:${SECRET}@h"}}
`,
      { PG_METAKO_SECURITY_API_TOKEN: `${SECRET}-of-the-api` },
    )
    const text = describeConfig(loaded)
    expect(text).not.toContain('hunter2')
    expect(text.match(/\(set\)/g)).toHaveLength(5)
    const { origins } = loaded as LoadedConfig & { kind: 'ok' }
    expect(JSON.stringify([...origins])).not.toContain('hunter2')
  })
})

describe('the effective config', () => {
  const TEXT = `identity: {node_name: node1, api_host: 10.77.0.1}
local_db: {password: correct-horse-battery}
security: {cluster_secret: 0123456789abcdef}
cluster_members:
  - {node_name: node2, api_host: 10.77.0.2}
  - {node_name: node3, api_host: 10.77.0.3}
postgresql: {data_dir: /srv/data, parameters: {my.flag: on}}
`

  it('names the origin of every value and says that it is valid', () => {
    const text = describeConfig(load(TEXT, { PG_METAKO_ROUTER_PRIMARY_PORT: '15433' }))
    expect(text).toMatch(/^ {2}node_name: node1 +# main\.yaml:1:23$/m)
    expect(text).toMatch(/^ {2}primary_port: 15433 +# env PG_METAKO_ROUTER_PRIMARY_PORT$/m)
    expect(text).toMatch(/^ {2}replica_port: 5434 +# default$/m)
    expect(text).toMatch(/^ {2}lease_ttl: 3s +# from ha\.profile lan$/m)
    expect(text).toMatch(/^ {4}my\.flag: on +# main\.yaml:7:47$/m)
    expect(text).toMatch(/^ {2}password: \(set\) +# main\.yaml:2:12$/m)
    expect(text).toMatch(/^ {2}# os_user: +# not set: the owner/m)
    expect(text.endsWith('\nconfig is valid')).toBe(true)
  })

  it('is itself a config that gives the same node, once the secrets are put back', () => {
    const first = load(TEXT)
    const again = load(describeConfig(first).replace(/^config is valid.*$/m, ''), {
      PG_METAKO_LOCAL_DB_PASSWORD: 'correct-horse-battery',
      PG_METAKO_SECURITY_CLUSTER_SECRET: '0123456789abcdef',
    })
    expect(again.kind === 'ok' && again.config).toEqual(first.kind === 'ok' && first.config)
  })

  it('of a refused one is its problems', () => {
    expect(describeConfig(load('ha: {profile: moon}\n'))).toMatch(
      /must be one of lan, noisy, wan[^]*config is refused$/,
    )
  })
})
