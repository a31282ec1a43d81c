import { describe, expect, it } from 'vitest'
import { parseConsoleCommand } from './console-command.ts'

describe('a command of the console', () => {
  it.each([
    ['show pools', { kind: 'show', what: 'POOLS' }],
    [' SELECT Stats_Totals ; ', { kind: 'show', what: 'STATS_TOTALS' }],
    ['show client_encoding', { kind: 'setting', name: 'client_encoding', value: 'UTF8' }],
    ['PAUSE', { kind: 'database', command: 'PAUSE' }],
    ['pause "My ""db""";', { kind: 'database', command: 'PAUSE', database: 'My "db"' }],
    ['resume app;', { kind: 'database', command: 'RESUME', database: 'app' }],
    ['enable app', { kind: 'database', command: 'ENABLE', database: 'app' }],
    ['kill_client 42', { kind: 'kill-client', id: 42 }],
    ['RELOAD;', { kind: 'reload' }],
    [' ; ', { kind: 'nothing' }],
  ])('is read from %j', (text, wanted) => {
    expect(parseConsoleCommand(text)).toEqual(wanted)
  })

  it.each([
    'show',
    'show nothing',
    'enable',
    'kill_client x',
    'drop table t',
    'show pools; show stats',
    'pause a b',
  ])('is none: %j', (text) => expect(parseConsoleCommand(text)).toEqual({ kind: 'unknown', text }))

  it.each(['SET pool_mode = session', 'SHUTDOWN', 'suspend', 'show fds'])('belongs elsewhere: %j', (text) => {
    expect(parseConsoleCommand(text).kind).toBe('elsewhere')
  })
})
