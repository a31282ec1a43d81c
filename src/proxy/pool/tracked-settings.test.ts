import { describe, expect, it } from 'vitest'
import {
  asReported,
  SessionSettings,
  settingsStatement,
  settingsToChange,
  sortStartup,
} from './tracked-settings.ts'

describe('a client’s settings', () => {
  it('are those of a server connection only where each that is followed has the same value there', () => {
    const reported = [
      ['client_encoding', 'UTF8'],
      ['application_name', 'me'],
      ['server_version', '18.0'],
    ] as const
    const client = new SessionSettings(reported)
    const server = new SessionSettings(reported.toReversed())
    expect(client.tracked).toBe(server.tracked)
    server.set('server_version', '15.0')
    expect(client.tracked).toBe(server.tracked)
    server.set('application_name', '')
    expect(client.tracked).not.toBe(server.tracked)
    client.set('application_name', '')
    expect(client.tracked).toBe(server.tracked)
    expect(new SessionSettings(reported.slice(0, 1)).tracked).not.toBe(client.tracked)
  })

  it('are followed where PostgreSQL reports them, and choose the pool where it does not', () => {
    const startup = new Map([
      ['user', 'app'],
      ['database', 'app'],
      ['datestyle', 'ISO'],
      ['application_name', 'me'],
      ['extra_float_digits', '2'],
      ['search_path', 'mine'],
      ['_pq_.unheard', 'x'],
    ])
    const { tracked, fixed, protocolOptions } = sortStartup(startup)
    expect([...tracked]).toEqual([
      ['DateStyle', 'ISO'],
      ['application_name', 'me'],
    ])
    expect([...fixed]).toEqual([
      ['extra_float_digits', '2'],
      ['search_path', 'mine'],
    ])
    expect(protocolOptions).toEqual(['_pq_.unheard'])
  })

  it.each([
    ['DateStyle', 'iso', 'ISO, DMY', 'ISO, DMY'],
    ['DateStyle', 'sql', 'ISO, DMY', 'SQL, DMY'],
    ['DateStyle', 'German', 'ISO, DMY', 'German'],
    ['DateStyle', 'ISO, YMD', 'ISO, DMY', 'ISO, YMD'],
    ['client_encoding', 'utf-8', 'LATIN1', 'UTF8'],
    ['client_encoding', "'unicode'", 'UTF8', 'UTF8'],
    ['client_encoding', 'latin-1', 'LATIN1', 'LATIN1'],
    ['client_encoding', 'win1252', 'UTF8', 'win1252'],
    ['TimeZone', 'utc', 'GMT', 'utc'],
  ])('are spelt as PostgreSQL reports them: %s %s', (name, value, reported, wanted) => {
    expect(asReported(name, value, reported)).toBe(wanted)
  })

  it('are changed only where they differ, in text that cannot end early', () => {
    const client = new Map([
      ['TimeZone', 'UTC'],
      ['search_path', `"it's", 'a\\b'`],
      ['application_name', 'ünïcode'],
    ])
    expect(settingsToChange(client, new Map(client))).toEqual([])
    const names = settingsToChange(client, new Map([['TimeZone', 'UTC']]))
    expect(settingsStatement(names, client, 'UTF8')).toBe(
      `SELECT pg_catalog.set_config('search_path',E'"it''s", ''a\\\\b''',false),pg_catalog.set_config('application_name','ünïcode',false)`,
    )
    expect(settingsStatement(['application_name'], client, 'SJIS')).toBe(
      "SELECT pg_catalog.set_config('application_name','?n?code',false)",
    )
  })
})
