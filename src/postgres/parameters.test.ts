import { describe, expect, it } from 'vitest'
import {
  refusedParameters,
  renderHba,
  renderSettings,
  slotNameFor,
  usableSocketDir,
  withoutOwnedLines,
  type SettingsInput,
} from './parameters.ts'

const input: SettingsInput = {
  port: 5441,
  listenAddresses: ['127.0.0.1', '::1'],
  socketDir: '/run/x',
  memberName: "n'1",
  walName: "n'1_ab12",
  synchronousNames: 'ANY 1 ("n2_cd34")',
  clusterName: 'demo',
  replication: { name: 'replicator', password: "p'w\\d" },
  useSlots: true,
  parameters: {},
  follow: undefined,
  atLeast: {},
  majorVersion: 18,
}

const settings = (changes: Partial<SettingsInput> = {}) =>
  new Map(
    renderSettings({ ...input, ...changes })
      .split('\n')
      .filter((line) => line.includes(' = '))
      .map((line) => [line.slice(0, line.indexOf(' = ')), line.slice(line.indexOf(' = ') + 3)]),
  )

describe('settings file', () => {
  it('lets the configuration choose what is not ours, and keeps what is', () => {
    const parameters = {
      work_mem: '8MB',
      wal_level: 'logical',
      Port: '1',
      fsync: 'off',
      restore_command: 'cp /a/%f "%p"',
      'auto_explain.log_min_duration': '1s',
    }
    const written = settings({ parameters })
    expect(written.get('work_mem')).toBe(`'8MB'`)
    expect(written.get('wal_level')).toBe(`'logical'`)
    expect(written.get('auto_explain.log_min_duration')).toBe(`'1s'`)
    expect([written.get('port'), written.get('fsync')]).toEqual([`'5441'`, `'on'`])
    expect(refusedParameters(parameters).map(({ name }) => name)).toEqual(['Port', 'fsync'])
  })

  it('refuses what would break the file or the cluster, each with a reason', () => {
    const refused = refusedParameters({
      'a b': '1',
      wal_level: 'minimal',
      work_mem: "1MB'\nfsync = 'off",
      recovery_target_time: 'now',
      include: '/etc/passwd',
    })
    expect(refused).toHaveLength(5)
    expect(refused.every(({ reason }) => reason.length > 10)).toBe(true)
  })

  it('points a standby at an address or a name, with its password quoted twice', () => {
    const at = (host: string) => settings({ follow: { host, port: 5442 } }).get('primary_conninfo') ?? ''
    expect(at('10.0.0.2')).toContain(`hostaddr=''10.0.0.2'' port=''5442''`)
    expect(at('db2')).toContain(`host=''db2''`)
    // Once for libpq, once for the file: the value is p'w\d.
    expect(at('db2')).toContain(`password=''p\\\\''w\\\\\\\\d''`)
    expect(settings().get('primary_conninfo')).toBe(`''`)
    expect(settings({ follow: { host: 'db2', port: 1 } }).get('primary_slot_name')).toBe(`'metako_n_1'`)
    expect(settings().get('primary_slot_name')).toBe(`''`)
  })

  it('lets WAL in from an archive only while it follows somebody', () => {
    const parameters = { restore_command: 'cp /a/%f "%p"' }
    const follow = { host: 'db2', port: 1 }
    expect(settings({ parameters, follow }).get('restore_command')).toBe(`'cp /a/%f "%p"'`)
    expect(settings({ parameters }).get('restore_command')).toBe(`''`)
    expect(settings().has('restore_command')).toBe(false)
  })

  it('never gives a standby lower limits than its primary had', () => {
    const written = settings({
      parameters: { max_connections: '50', max_worker_processes: '20' },
      atLeast: { max_connections: 100, max_worker_processes: 8, max_locks_per_transaction: 64 },
    })
    expect(written.get('max_connections')).toBe(`'100'`)
    expect(written.get('max_worker_processes')).toBe(`'20'`)
    expect(written.get('max_locks_per_transaction')).toBe(`'64'`)
  })

  it('takes its own lines out of postgresql.auto.conf and leaves the rest', () => {
    const text =
      "# do not edit\nwork_mem = '4MB'\nprimary_conninfo = 'host=x'\nPORT=1\nport_of_call.x = 'y'\n"
    expect(withoutOwnedLines(text)).toBe("# do not edit\nwork_mem = '4MB'\nport_of_call.x = 'y'\n")
  })
})

describe('access rules', () => {
  it('let everybody in with a password only where the configuration has no rules of its own', () => {
    const users = { superuser: 'po"st', replicationUser: 'replicator', database: 'postgres' }
    expect(renderHba({ ...users, rules: [] })).toContain('host all all all scram-sha-256')
    const own = renderHba({ ...users, rules: ['hostssl app app 10.0.0.0/8 scram-sha-256'] })
    expect(own).not.toContain('host all all all')
    expect(own).toContain('local all "po""st" scram-sha-256')
    expect(own.indexOf('replication')).toBeLessThan(own.indexOf('hostssl'))
  })
})

describe('names', () => {
  it('of slots are what PostgreSQL takes', () => {
    expect(slotNameFor('DB-1.eu')).toBe('metako_db_1_eu')
    expect(slotNameFor('x'.repeat(80))).toHaveLength(63)
  })

  it('of socket folders are used only while the kernel takes the path', () => {
    expect(usableSocketDir('/run/pg', 5432)).toBe('/run/pg')
    // 94 characters and "/.s.PGSQL.5432" are 108 bytes.
    expect(usableSocketDir(`/${'x'.repeat(93)}`, 5432)).toBeUndefined()
    expect(usableSocketDir(`/${'x'.repeat(92)}`, 5432)).toBeDefined()
  })
})
