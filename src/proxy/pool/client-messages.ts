import { KiB, MiB } from '../../std/units.ts'
import { messageType } from '../../wire/frame.ts'

/** What clients send after they have logged in. */
export const QUERY = messageType('Q')
export const FUNCTION_CALL = messageType('F')
export const PARSE = messageType('P')
export const BIND = messageType('B')
export const DESCRIBE = messageType('D')
export const CLOSE = messageType('C')
export const EXECUTE = messageType('E')
export const FLUSH = messageType('H')
export const SYNC = messageType('S')
export const COPY_DATA = messageType('d')
export const COPY_DONE = messageType('c')
export const COPY_FAIL = messageType('f')
export const TERMINATE = messageType('X')

export const HEADER_BYTES = 5

/** A named statement is read as a whole before it is prepared somewhere. */
export const STATEMENT_BYTES_MAX = 16 * MiB
/** PostgreSQL cuts names at 63 bytes; what is longer is a game. */
export const NAMES_BYTES_MAX = 16 * KiB
