import { expect, it } from 'vitest'
import { loadConfig, type LoadedConfig } from './load-config.ts'

const BASE = `identity: {node_name: node1, api_host: 10.77.0.1}
local_db: {password: correct-horse-battery}
security: {cluster_secret: 0123456789abcdef}
cluster_members:
  - {node_name: node2, api_host: 10.77.0.2}
  - {node_name: node3, api_host: 10.77.0.3}
postgresql: {data_dir: /srv/data}
`

function load(text: string, exists: (path: string) => boolean = () => true): LoadedConfig {
  const whole = BASE + text
  return loadConfig({ path: '/etc/pg/main.yaml', readText: () => whole, env: {}, fileExists: exists })
}

function tlsOf(text: string) {
  const loaded = load(text)
  if (loaded.kind !== 'ok') throw new Error(JSON.stringify(loaded.problems))
  return loaded.config.router.tls
}

function errorsOf(text: string, exists?: (path: string) => boolean): string[] {
  const loaded = load(text, exists)
  return loaded.kind === 'ok' ? [] : loaded.problems.map(({ key, rule }) => `${key} ${rule}`)
}

it('reads PgBouncer’s names under router: and under pool:, paths from the folder of the file', () => {
  const text = `{client_tls_sslmode: verify-full, client_tls_cert_file: r.crt, client_tls_key_file: r.key,
    client_tls_ca_file: ca.crt, client_tls_protocols: tlsv1.3, client_tls_ciphers: TLS_AES_128_GCM_SHA256,
    server_tls_sslmode: verify-ca, server_tls_ca_file: /srv/ca.crt}\n`
  const expected = {
    client: {
      mode: 'verify-full',
      certFile: '/etc/pg/r.crt',
      keyFile: '/etc/pg/r.key',
      caFile: '/etc/pg/ca.crt',
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
      ciphers: 'TLS_AES_128_GCM_SHA256',
    },
    server: { mode: 'verify-ca', caFile: '/srv/ca.crt', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' },
  }
  expect(tlsOf(`router: ${text}`)).toEqual(expected)
  expect(tlsOf(`pool: ${text}`)).toEqual(expected)
})

it('takes the node’s own certificate where the router has none of its own', () => {
  const secured = BASE.replace(
    '{cluster_secret: 0123456789abcdef}',
    '{cluster_secret: 0123456789abcdef, cert_file: /srv/n.crt, key_file: /srv/n.key}',
  )
  const loaded = loadConfig({
    path: '/etc/pg/main.yaml',
    readText: () => `${secured}router: {client_tls_sslmode: prefer}\n`,
    env: {},
    fileExists: () => true,
  })
  expect(loaded.kind === 'ok' && loaded.config.router.tls.client).toMatchObject({
    mode: 'prefer',
    certFile: '/srv/n.crt',
    keyFile: '/srv/n.key',
  })
})

it('refuses a mode that lacks what it needs', () => {
  expect(errorsOf('router: {client_tls_sslmode: require}\n')).toEqual([
    expect.stringMatching(/client_tls_cert_file is missing/),
    expect.stringMatching(/client_tls_key_file is missing/),
  ])
  const pair = 'client_tls_cert_file: r.crt, client_tls_key_file: r.key'
  expect(errorsOf(`router: {client_tls_sslmode: verify-ca, ${pair}}\n`)).toEqual([
    expect.stringMatching(/client_tls_ca_file is missing/),
  ])
  expect(errorsOf('router: {server_tls_sslmode: verify-full}\n')).toEqual([
    expect.stringMatching(/server_tls_ca_file is missing/),
  ])
  expect(errorsOf('router: {server_tls_sslmode: require, server_tls_cert_file: r.crt}\n')).toEqual([
    expect.stringMatching(/server_tls_key_file is missing/),
  ])
  expect(errorsOf(`router: {client_tls_sslmode: require, ${pair}}\npool: {auth_type: cert}\n`)).toEqual([
    expect.stringMatching(/pool\.auth_type needs certificates that were checked/),
  ])
  expect(
    errorsOf(`router: {client_tls_sslmode: allow, ${pair}}\n`, (path) => !path.endsWith('.key')),
  ).toEqual([expect.stringMatching(/client_tls_key_file there is no such file/)])
  expect(errorsOf('router: {client_tls_protocols: tlsv1.0}\n')).toEqual([
    expect.stringMatching(/client_tls_protocols must be one of/),
  ])
})

it('says so when a certificate is given and TLS is off', () => {
  const loaded = load('router: {client_tls_cert_file: r.crt, client_tls_key_file: r.key}\n')
  expect(loaded.kind === 'ok' && loaded.warnings.map(({ key, rule }) => `${key} ${rule}`)).toEqual([
    expect.stringMatching(/client_tls_cert_file has no effect/),
  ])
})

it('wants nothing where there is no router', () => {
  expect(errorsOf('router: {enabled: false, client_tls_sslmode: require}\n')).toEqual([])
})
