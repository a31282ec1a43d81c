import { describe, expect, it } from 'vitest'
import { poolOptions } from '../../../../test/support/pool-options.ts'
import { PGBOUNCER_SETTINGS } from '../../../model/pgbouncer-setting.ts'
import { NO_TLS } from '../../../model/tls-settings.ts'
import { configRows } from './config-rows.ts'

describe('SHOW CONFIG', () => {
  const pgbouncer = {
    file: '/etc/pgbouncer.ini',
    given: { tcp_user_timeout: '3000', pool_mode: 'session', track_extra_parameters: 'role' },
    notHonoured: [
      { setting: 'track_extra_parameters', value: 'role', reason: 'not followed: role', place: 'f:1' },
    ],
  }
  const rows = configRows(poolOptions({ defaultPoolSize: 7, pgbouncer }), 6432, NO_TLS)
  const row = (name: string) => rows.find(([key]) => key === name)

  it('has a value for every setting of PgBouncer, in its order', () => {
    expect(rows.map(([key]) => key)).toEqual(PGBOUNCER_SETTINGS.map(({ name }) => name))
    expect(rows.every((columns) => columns.length === 5 && typeof columns[1] === 'string')).toBe(true)
  })

  it('says what counts: what this router does, and not what a file says', () => {
    expect(row('default_pool_size')).toEqual(['default_pool_size', '7', '20', 'yes', null])
    expect(row('pool_mode')).toEqual(['pool_mode', 'transaction', 'session', 'no', null])
    expect(row('listen_port')).toEqual(['listen_port', '6432', '6432', 'no', null])
  })

  it('says why something does nothing, with the value that the file gives', () => {
    const because = 'Node.js cannot set it on a socket'
    expect(row('tcp_user_timeout')).toEqual(['tcp_user_timeout', '3000', '0', 'no', because])
    expect(row('tcp_keepcnt')).toEqual(['tcp_keepcnt', '0', '0', 'no', because])
    expect(row('track_extra_parameters')?.[4]).toBe('not followed: role')
  })
})
