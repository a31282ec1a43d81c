import { chownSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest'
import type { Diagnosis } from '#client'
import { findDatabaseUser } from '../../../src/platform/os-user.ts'
import { makeCertificate, type TestAuthority } from '../../support/certificates.ts'
import { Cluster } from '../../support/cluster.ts'
import { makeDatabaseFolder } from '../../support/database-folder.ts'
import { loopbackMachines } from '../../support/loopback-machines.ts'
import type { TestNode } from '../../support/machines.ts'
import { describePostgres } from '../../support/postgres.ts'
import { TlsFiles } from '../../support/tls-files.ts'

const DAY_MS = 86_400_000
const SEEN_MS = 20_000
/** Of 4 MB: more than `max_slot_wal_keep_size`. */
const SEGMENTS = 12
/** Its watchdog is wanted, and not there. */
const UNWATCHED = 'node3'
/** How quick disks and network are here is not what is tested, on a machine that others use too. */
const MEASURED = new Set(['disk-flush', 'disk-space', 'network', 'clocks'])
const MEASURED_CODES = new Set(['WRITES_SLOWLY', 'LAGS'])

type Found = { readonly code: number; readonly diagnoses: readonly Diagnosis[] }

describePostgres('pg-metako doctor, on a cluster with planted faults', (postgres) => {
  const folder = makeDatabaseFolder('metako-doctor-')
  const noArchive = join(folder, 'archive-is-broken')
  let cluster: Cluster
  let files: TlsFiles
  let primary: TestNode
  let standby: TestNode

  const certificate = (validForMs: number): TestAuthority =>
    makeCertificate({ commonName: 'router', validForMs })

  beforeAll(async () => {
    const user = findDatabaseUser({})
    files = new TlsFiles({ folder, own: (path) => user && chownSync(path, user.uid, user.gid) })
    const { certFile, keyFile } = files.pair('router', certificate(5 * DAY_MS))
    const routerLines = [
      'router:',
      '  client_tls_sslmode: allow',
      `  client_tls_cert_file: ${certFile}`,
      `  client_tls_key_file: ${keyFile}`,
    ]
    const parameters = [
      '  parameters:',
      '    archive_mode: "on"',
      `    archive_command: "test ! -e ${noArchive}"`,
      '    wal_keep_size: "0"',
      '    max_slot_wal_keep_size: 32MB',
    ]
    const watchdog = `watchdog: { mode: automatic, device: ${join(folder, 'no-watchdog')} }\n`
    const configure = (text: string, node: string): string =>
      text.replace('router:', routerLines.join('\n')).replace('  parameters:', parameters.join('\n')) +
      (node === UNWATCHED ? watchdog : '')
    const { folder: binDir } = postgres().binaries
    cluster = new Cluster(await loopbackMachines({ count: 3, binDir, mode: 'quorum', configure }))
    cluster.startAll()
    primary = await cluster.waitForHealthy(60_000)
    standby = cluster.nodes.find((node) => node !== primary)!
  })
  afterAll(async () => {
    await cluster?.dispose()
    rmSync(folder, { recursive: true, force: true })
  })

  /** What the command says on the host of a node, worst first, without what depends on this machine. */
  const doctor = async (on: TestNode): Promise<Found> => {
    const { code, out, err } = await cluster.runOn(on, ['doctor', '--config', on.configFile, '-f', 'json'])
    expect(err).toBe('')
    const { diagnoses } = JSON.parse(out) as { diagnoses: readonly Diagnosis[] }
    return {
      code,
      diagnoses: diagnoses.filter((one) => !MEASURED.has(one.check) && !MEASURED_CODES.has(one.code)),
    }
  }
  const bad = ({ diagnoses }: Found): readonly string[] =>
    diagnoses
      .filter(({ severity }) => severity !== 'note' && severity !== 'ok')
      .map(({ code, member }) => `${code}${member === undefined ? '' : ` ${member}`}`)
  /** Waits until the command names this fault, of this member. */
  const named = async (code: string, member: string): Promise<Diagnosis> => {
    onTestFailed(() => console.error(cluster.logTails()))
    return cluster.waitFor(`${code} of ${member}`, SEEN_MS, async () =>
      (await doctor(primary)).diagnoses.find((one) => one.code === code && one.member === member),
    )
  }
  const gone = (code: string) =>
    cluster.waitFor(`no ${code}`, SEEN_MS, async () =>
      (await doctor(primary)).diagnoses.every((one) => one.code !== code),
    )
  const asSuperuser = async <T>(node: TestNode, body: (client: pg.Client) => Promise<T>): Promise<T> => {
    const password = readFileSync(join(node.folder, '..', 'secrets', 'postgres-password'), 'utf8').trim()
    const { host, ports } = node
    const client = new pg.Client({
      host,
      port: ports.postgres,
      user: 'postgres',
      database: 'postgres',
      password,
    })
    client.on('error', () => {})
    await client.connect()
    try {
      return await body(client)
    } finally {
      await client.end()
    }
  }
  const hangUp = (node: TestNode) => process.kill(cluster.postmasterPid(node)!, 'SIGHUP')
  /** Adds lines to a file of an instance, and has them read; the result takes them back. */
  const meddle = (node: TestNode, name: string, change: (text: string) => string): (() => void) => {
    const path = join(node.dataDir, name)
    const { uid, gid, mode } = statSync(path)
    const before = readFileSync(path, 'utf8')
    const write = (text: string) => {
      writeFileSync(path, text, { mode })
      chownSync(path, uid, gid)
      hangUp(node)
    }
    write(change(before))
    return () => write(before)
  }

  it('finds nothing on a healthy cluster but a certificate that ends in five days, and a watchdog that is not there', async () => {
    const found = await cluster.waitFor('a calm cluster', 3 * SEEN_MS, async () => {
      const all = await doctor(primary)
      return bad(all).every((one) => /^(CERTIFICATE|WATCHDOG)/.test(one)) && all
    })
    const ends = cluster.nodes.map(({ name }) => `CERTIFICATE_EXPIRES ${name}`)
    expect(bad(found)).toEqual([...ends, `WATCHDOG_UNUSABLE ${UNWATCHED}`])
    expect(found.code).toBeGreaterThanOrEqual(1)
    const accepted = found.diagnoses.filter(({ code }) => code === 'REPLICATION_ACCEPTED')
    expect(accepted.map(({ member }) => member)).toEqual(cluster.nodes.map(({ name }) => name))
    files.pair('router', certificate(400 * DAY_MS))
    await cluster.waitFor('nothing else', SEEN_MS, async () => {
      const all = bad(await doctor(primary))
      return all.length === 1 && all[0] === `WATCHDOG_UNUSABLE ${UNWATCHED}`
    })
  })

  it('names a certificate that has expired', async () => {
    files.pair('router', certificate(-60_000))
    expect((await named('CERTIFICATE_EXPIRED', standby.name)).fix).toContain('Renew')
    files.pair('router', certificate(400 * DAY_MS))
    await gone('CERTIFICATE_EXPIRED')
  })

  it('names a pg_hba.conf that would let nobody stream after a failover, and one that PostgreSQL does not read', async () => {
    const refuse = meddle(standby, 'pg_hba.conf', (text) => `host replication all all reject\n${text}`)
    const refused = await named('REPLICATION_REFUSED', primary.name)
    expect(refused.evidence).toContain(`stream from ${standby.name}`)
    expect(refused.fix).toContain('pg_hba')
    refuse()
    await gone('REPLICATION_REFUSED')
    const garble = meddle(standby, 'pg_hba.conf', (text) => `${text}hots all all all trust\n`)
    expect((await named('HBA_ERROR', standby.name)).evidence).toMatch(/line \d+: .*hots/)
    garble()
    await gone('HBA_ERROR')
  })

  it('names the password of replication that was changed', async () => {
    const kept = await asSuperuser(primary, async (client) => {
      const { rows } = await client.query<{ rolname: string; rolpassword: string }>(
        "select rolname, rolpassword from pg_authid where rolreplication and rolname <> 'postgres'",
      )
      await client.query(`alter role ${pg.escapeIdentifier(rows[0]!.rolname)} password 'another'`)
      return rows[0]!
    })
    const found = await named('REPLICATION_REFUSED', standby.name)
    expect(found.evidence).toContain('password authentication failed')
    expect(found.fix).toContain('replication.password')
    await asSuperuser(primary, (client) =>
      client.query(
        `alter role ${pg.escapeIdentifier(kept.rolname)} password ${pg.escapeLiteral(kept.rolpassword)}`,
      ),
    )
    await gone('REPLICATION_REFUSED')
  })

  it('names a parameter that waits for a restart, and what is to be typed then is true', async () => {
    meddle(standby, 'postgresql.auto.conf', (text) => `${text}max_connections = 60\n`)
    const found = await named('PENDING_RESTART', standby.name)
    expect(found.evidence).toContain('max_connections')
    const [program, ...words] = (found.fix ?? '').split(' ')
    expect(program).toBe('pg-metako')
    const { code, err } = await cluster.runOn(primary, [...words, '--force', '--config', primary.configFile])
    expect([code, err]).toEqual([0, ''])
    await gone('PENDING_RESTART')
  })

  it('names a PostgreSQL that has few connections left', async () => {
    const taken: pg.Client[] = []
    try {
      const max = await asSuperuser(standby, async (client) => {
        const { rows } = await client.query<{ max: number }>(
          "select current_setting('max_connections')::int as max",
        )
        return rows[0]!.max
      })
      for (let count = 0; count < max * 0.8; count += 1) {
        const client = new pg.Client({ connectionString: cluster.directUrl(standby) })
        client.on('error', () => {})
        await client.connect()
        taken.push(client)
      }
      expect((await named('CONNECTIONS_SCARCE', standby.name)).evidence).toContain(`of ${max} connections`)
    } finally {
      await Promise.all(taken.map((client) => client.end()))
    }
    await gone('CONNECTIONS_SCARCE')
  })

  it('names a pause that was forgotten, and so does why', async () => {
    const order = (word: string) => cluster.runOn(primary, [word, '--config', primary.configFile])
    expect((await order('pause')).code).toBe(0)
    const found = await cluster.waitFor('the pause', SEEN_MS, async () =>
      (await doctor(primary)).diagnoses.find(({ code }) => code === 'PAUSED'),
    )
    expect(found.fix).toContain('pg-metako resume')
    const { out } = await cluster.runOn(primary, ['why', '--config', primary.configFile])
    expect(out).toMatch(/Why is there no failover\?\n! The cluster is paused/)
    expect((await order('resume')).code).toBe(0)
    await gone('PAUSED')
  })

  it('names a standby whose replay is paused', async () => {
    await asSuperuser(standby, (client) => client.query('select pg_wal_replay_pause()'))
    expect((await named('REPLAY_PAUSED', standby.name)).fix).toContain('pg_wal_replay_resume')
    await asSuperuser(standby, (client) => client.query('select pg_wal_replay_resume()'))
    await gone('REPLAY_PAUSED')
  })

  it('names a slot that nobody uses, and that it has lost its WAL', async () => {
    await asSuperuser(primary, (client) =>
      client.query("select pg_create_physical_replication_slot('forgotten', true)"),
    )
    expect((await named('SLOT_UNUSED', primary.name)).fix).toContain("pg_drop_replication_slot('forgotten')")
    await asSuperuser(primary, async (client) => {
      for (let segment = 0; segment < SEGMENTS; segment += 1) {
        await client.query("select pg_logical_emit_message(false, 'doctor', 'x')")
        await client.query('select pg_switch_wal()')
        // Slots of members must not lose theirs: each standby has the segment before the next one is begun.
        await cluster.waitFor('all standbys', SEEN_MS, async () => {
          const { rows } = await client.query<{ there: number }>(
            "select count(*)::int as there from pg_stat_replication where state = 'streaming' and flush_lsn >= pg_current_wal_lsn()",
          )
          return rows[0]?.there === 2
        })
      }
      await client.query('checkpoint')
    })
    expect((await named('SLOT_LOST', primary.name)).evidence).toContain('forgotten')
    await asSuperuser(primary, (client) => client.query("select pg_drop_replication_slot('forgotten')"))
    await gone('SLOT_LOST')
  })

  it('names an archive_command that fails', async () => {
    writeFileSync(noArchive, '')
    await asSuperuser(primary, async (client) => {
      await client.query("select pg_logical_emit_message(false, 'doctor', 'x')")
      await client.query('select pg_switch_wal()')
    })
    expect((await named('ARCHIVING_FAILS', primary.name)).severity).toBe('error')
    rmSync(noArchive)
  })

  it('names a member that is down, and that no other may fail then', async () => {
    cluster.crashNode(standby)
    expect((await named('NOT_LOOKED_AT', standby.name)).evidence).toContain('ECONNREFUSED')
    const found = await cluster.waitFor('the margin', SEEN_MS, async () => {
      const all = await doctor(primary)
      return bad(all).includes('NO_MARGIN') && all
    })
    expect(found.code).toBe(2)
  })

  it('names the majority that is lost', async () => {
    const last = cluster.nodes.find((node) => node !== primary && node !== standby)!
    cluster.crashNode(last)
    // A connection that breaks is noticed before a member counts as silent: the numbers follow.
    const found = await cluster.waitFor('the lost majority', SEEN_MS, async () =>
      (await doctor(primary)).diagnoses.find(
        ({ code, evidence }) => code === 'NO_QUORUM' && evidence.includes('1 of 3 voters answer'),
      ),
    )
    expect(found.evidence).toContain('2 are needed')
    expect(found.fix).toContain('systemctl start pg-metako')
  })
})
