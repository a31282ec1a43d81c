import type { Socket } from '../../../platform/net.ts'
import { after } from '../../../platform/timers.ts'
import { Fault } from '../../../std/fault.ts'
import { KiB } from '../../../std/units.ts'
import { buildAuthentication } from '../../../wire/authentication.ts'
import { buildErrorResponse, buildFatalResponse } from '../../../wire/error-response.ts'
import { message, MessageReader, messageType } from '../../../wire/frame.ts'
import { buildDataRow, buildRowDescription } from '../../../wire/rows.ts'
import { buildCommandComplete, buildParameterStatus, buildReady } from '../../../wire/session-state.ts'
import { buildBackendKey, type CancelKey } from '../../../wire/startup.ts'
import { endClient } from '../../frontend/end-client.ts'
import { parseConsoleCommand, SHOWABLE, type ConsoleCommand, type Showable } from './console-command.ts'
import { columnsOf, type Table } from './console-tables.ts'

/** What the console may do to the pooler, in all its workers: answers come when all have done it. A refusal is a text. */
export interface ConsolePlace {
  show(what: Exclude<Showable, 'HELP'>, answer: (table: Table) => void): void
  /** How it goes on is asked by `busyServers`. */
  command(
    command: Extract<ConsoleCommand, { kind: 'database' }>,
    answer: (refusal: string | undefined) => void,
  ): void
  /** Server connections of a paused database that still work for somebody. */
  busyServers(database: string | undefined, answer: (count: number) => void): void
  killClient(id: number, answer: (refusal: string | undefined) => void): void
  /** `note`: what else people should know. */
  reload(answer: (refusal: string | undefined, note?: string) => void): void
  consoleEnded(session: ConsoleSession): void
}

export type ConsoleParts = {
  readonly socket: Socket
  readonly key: CancelKey
  /** Else it may only look. */
  readonly isAdmin: boolean
  readonly rest: Buffer
}

/** Commands are short. */
const COMMAND_BYTES_MAX = 64 * KiB
/** PAUSE answers when the last transaction has ended. */
const LOOK_EVERY_MS = 20
const QUERY = messageType('Q')
const SYNC = messageType('S')
const TERMINATE = messageType('X')
const READY = buildReady('I')
const SETTINGS: Readonly<Record<string, string>> = {
  server_version: '1.25.2/pg-metako',
  server_encoding: 'UTF8',
  client_encoding: 'UTF8',
  DateStyle: 'ISO',
  TimeZone: 'GMT',
  standard_conforming_strings: 'on',
  integer_datetimes: 'on',
}

/** A client of the database `pgbouncer`: PgBouncer's commands, its columns, its words. Simple queries only, as there. */
export class ConsoleSession {
  readonly #socket: Socket
  readonly #isAdmin: boolean
  readonly #place: ConsolePlace
  readonly #reader = new MessageReader({ limitBytes: COMMAND_BYTES_MAX })
  #skipsToSync = false
  /** An answer is being waited for. */
  #isBusy = false
  #stopLooking: () => void = () => {}
  #ended = false

  constructor(parts: ConsoleParts, place: ConsolePlace) {
    this.#socket = parts.socket
    this.#isAdmin = parts.isAdmin
    this.#place = place
    const settings = Object.entries(SETTINGS).map(([name, value]) => buildParameterStatus(name, value))
    this.#socket.write(
      Buffer.concat([buildAuthentication({ kind: 'ok' }), ...settings, buildBackendKey(parts.key), READY]),
    )
    this.#reader.push(parts.rest)
    this.#socket.on('data', this.#onData)
    this.#socket.on('end', () => this.end())
    this.#socket.on('close', () => this.end())
    this.#readOn()
    this.#socket.resume()
  }

  end(response?: Buffer): void {
    if (this.#ended) return
    this.#ended = true
    this.#stopLooking()
    this.#socket.off('data', this.#onData)
    endClient(this.#socket, response)
    this.#place.consoleEnded(this)
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#reader.push(chunk)
    this.#readOn()
  }

  #readOn(): void {
    try {
      while (!this.#isBusy && !this.#ended) {
        const next = this.#reader.next()
        if (!next) return
        this.#take(next.type, next.body)
      }
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      this.end(buildFatalResponse({ sqlState: '08P01', message: error.message }))
    }
  }

  #take(type: number, body: Buffer): void {
    if (type === TERMINATE) return this.end()
    if (type === SYNC) {
      this.#skipsToSync = false
      return void this.#socket.write(READY)
    }
    if (this.#skipsToSync) return
    if (type === QUERY) {
      return this.#run(parseConsoleCommand(body.toString('utf8', 0, Math.max(0, body.indexOf(0)))))
    }
    this.#skipsToSync = true
    this.#socket.write(errorOf('0A000', 'the console understands simple queries only'))
  }

  #run(command: ConsoleCommand): void {
    switch (command.kind) {
      case 'nothing':
        return this.#say(message('I', Buffer.alloc(0)))
      case 'show': {
        const { what } = command
        if (what === 'HELP') return this.#say(HELP, buildCommandComplete('SHOW'))
        return this.#wait<Table>(
          (answer) => this.#place.show(what, answer),
          (table) => this.#answer(table),
        )
      }
      case 'setting':
        return this.#answer({ columns: columnsOf(command.name), rows: [[command.value]] })
      case 'elsewhere':
        return this.#say(errorOf('0A000', `not here: this belongs to ${command.where}`))
      case 'unknown':
        return this.#say(errorOf('42601', `invalid command '${command.text}', use SHOW HELP;`))
      case 'database':
      case 'kill-client':
      case 'reload':
        if (!this.#isAdmin) return this.#say(errorOf('42501', 'admin access needed'))
        return this.#change(command)
    }
  }

  #change(command: Extract<ConsoleCommand, { kind: 'database' | 'kill-client' | 'reload' }>): void {
    const place = this.#place
    switch (command.kind) {
      case 'reload':
        return this.#wait<{ refusal: string | undefined; note: string | undefined }>(
          (answer) => place.reload((refusal, note) => answer({ refusal, note })),
          ({ refusal, note }) => {
            if (note !== undefined) this.#socket.write(noticeOf(note))
            this.#done('RELOAD', refusal)
          },
        )
      case 'kill-client':
        return this.#wait((answer) => place.killClient(command.id, answer), this.#said('KILL_CLIENT'))
      case 'database': {
        const { command: word, database } = command
        const waits = word === 'PAUSE' || word === 'WAIT_CLOSE'
        return this.#wait((answer) => {
          place.command(command, (refusal) => {
            if (refusal !== undefined || !waits) answer(refusal)
            else this.#untilQuiet(database, () => answer(undefined))
          })
        }, this.#said(word))
      }
    }
  }

  /** The next command is read when this one was answered. */
  #wait<Answer>(ask: (answer: (given: Answer) => void) => void, then: (given: Answer) => void): void {
    let isAsking = true
    this.#isBusy = true
    ask((given) => {
      if (this.#ended) return
      this.#isBusy = false
      then(given)
      if (!isAsking) this.#readOn()
    })
    isAsking = false
  }

  #untilQuiet(database: string | undefined, done: () => void): void {
    this.#place.busyServers(database, (count) => {
      if (this.#ended) return
      if (count === 0) return done()
      this.#stopLooking = after(LOOK_EVERY_MS, () => this.#untilQuiet(database, done))
    })
  }

  #said(tag: string): (refusal: string | undefined) => void {
    return (refusal) => this.#done(tag, refusal)
  }

  #done(tag: string, refusal: string | undefined): void {
    this.#say(refusal === undefined ? buildCommandComplete(tag) : errorOf('55000', refusal))
  }

  #answer(table: Table): void {
    this.#say(
      buildRowDescription(table.columns),
      ...table.rows.map(buildDataRow),
      buildCommandComplete('SHOW'),
    )
  }

  #say(...messages: readonly Buffer[]): void {
    this.#socket.write(Buffer.concat([...messages, READY]))
  }
}

const HELP = noticeOf(
  'Console usage',
  [
    '',
    `\tSHOW ${SHOWABLE.join('|')}`,
    '\tRELOAD',
    '\tPAUSE [<db>]',
    '\tRESUME [<db>]',
    '\tDISABLE <db>',
    '\tENABLE <db>',
    '\tRECONNECT [<db>]',
    '\tKILL [<db>]',
    '\tKILL_CLIENT <client_id>',
    '\tWAIT_CLOSE [<db>]',
  ].join('\n'),
)

function noticeOf(text: string, detail?: string): Buffer {
  const more = detail === undefined ? '' : `D${detail}\0`
  return message('N', Buffer.from(`SNOTICE\0VNOTICE\0C00000\0M${text}\0${more}\0`, 'utf8'))
}

function errorOf(sqlState: string, text: string): Buffer {
  return buildErrorResponse({ S: 'ERROR', V: 'ERROR', C: sqlState, M: text })
}
