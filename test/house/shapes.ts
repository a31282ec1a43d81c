import { roomOf } from './import-table.ts'
import { isProduct, type SourceTree, type Violation } from './source-tree.ts'
import { codeOnly } from './source-text.ts'

const LINES_MAX = 500

/** Files of the product that no longer fit into a head. */
export function longFiles(tree: SourceTree): readonly Violation[] {
  return [...tree]
    .filter(([file]) => isProduct(file))
    .map(([file, text]) => ({ file, lines: text.trimEnd().split('\n').length }))
    .filter(({ lines }) => lines > LINES_MAX)
    .map(({ file, lines }) => ({
      file,
      message: `has ${lines} lines, ${LINES_MAX} are allowed: split it by concept`,
    }))
}

const FORBIDDEN_SHAPES: readonly { readonly pattern: RegExp; readonly message: string }[] = [
  { pattern: /\bexport\s+default\b/, message: 'has a default export: name it' },
  { pattern: /^\s*(?:export\s+)?(?:const\s+)?enum\s/m, message: 'has an enum: use a union of literals' },
  { pattern: /^\s*(?:export\s+)?(?:declare\s+)?namespace\s/m, message: 'has a namespace: use a module' },
  {
    pattern: /\b(?:interface|type|class)\s+I[A-Z][a-z]/,
    message: 'has a name with the prefix I: name what it is',
  },
  { pattern: /^\s*@[A-Za-z]+\s*(?:\(.*\))?\s*$/m, message: 'has a decorator' },
  { pattern: /^export\s+\*/m, message: 're-exports everything: import from the file itself' },
]

/** Constructs that the house does not use. */
export function forbiddenShapes(tree: SourceTree): readonly Violation[] {
  return [...tree]
    .filter(([file]) => isProduct(file))
    .flatMap(([file, text]) => {
      const code = codeOnly(text)
      const allowed = file === 'client/index.ts' ? 're-exports' : 'nothing'
      return FORBIDDEN_SHAPES.filter(
        ({ pattern, message }) => pattern.test(code) && !message.startsWith(allowed),
      ).map(({ message }) => ({ file, message }))
    })
}

const FORBIDDEN_IN_TESTS: readonly { readonly pattern: RegExp; readonly message: string }[] = [
  {
    pattern: /\bvi\.(mock|doMock|hoisted|stubGlobal)\(/,
    message: 'patches a module: give the code a fake of its port',
  },
  {
    pattern: /\b(it|test|describe)\.(only|todo)\(/,
    message: 'runs a part of the tests alone, or promises one',
  },
  { pattern: /\bawait\s+(pause|sleep|delay)\(/, message: 'sleeps: wait for a condition with a deadline' },
  {
    pattern: /=>\s*\{?\s*setTimeout\(\s*[a-z]\w*\s*,\s*[\d_]+\s*\)/i,
    message: 'sleeps: wait for a condition with a deadline',
  },
]

/** Habits that make tests lie or slow. */
export function badTestHabits(tree: SourceTree): readonly Violation[] {
  return [...tree]
    .filter(([file]) => file.endsWith('.test.ts'))
    .flatMap(([file, text]) => {
      const code = codeOnly(text)
      return FORBIDDEN_IN_TESTS.filter(({ pattern }) => pattern.test(code)).map(({ message }) => ({
        file,
        message,
      }))
    })
}

const DOOR_LINES_MAX = 15

/**
 * Rooms with code in which no file at the top has a comment that says what the room is for and what it never does: a
 * block comment at the beginning of a line, of two lines at least and fifteen at most, with the word "never" or "nothing".
 */
export function silentRooms(tree: SourceTree): readonly string[] {
  const files = [...tree].filter(([file]) => isProduct(file) && !file.startsWith('client/'))
  const rooms = new Set(
    files.map(([file]) => (file.startsWith('src/') ? file.split('/').slice(0, 2).join('/') : roomOf(file))),
  )
  return [...rooms]
    .filter((room) => !room.endsWith('.ts'))
    .filter(
      (room) => !files.some(([file, text]) => roomFile(room, file) && doorComments(text).some(isDoorComment)),
    )
}

function roomFile(room: string, file: string): boolean {
  return file.startsWith(`${room}/`)
}

function doorComments(text: string): readonly string[] {
  return text.match(/^\/\*[\s\S]*?\*\//gm) ?? []
}

function isDoorComment(comment: string): boolean {
  const lines = comment.split('\n').length
  return lines >= 3 && lines <= DOOR_LINES_MAX + 2 && /\b(never|nothing)\b/.test(comment)
}
