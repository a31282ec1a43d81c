import { type Environment, variablePlace } from './environment.ts'
import { environmentName, type Key } from './key.ts'
import { folderOf, resolvePath } from './path-text.ts'
import { type Place, type Problems, showPlace } from './problem.ts'
import type { Origin } from './settings.ts'
import type { Entry, Tree } from './yaml-tree.ts'

/** What reading needs beside the tree. */
export type ReadContext = {
  readonly problems: Problems
  readonly environment: Environment
  /** Text of a file that a `_file` key names; undefined when it cannot be read. */
  readonly readSecret: (path: string) => string | undefined
  /** Folder of the main config file: where relative paths from the environment start. */
  readonly folder: string
  /** Working folder, which makes relative paths absolute; absent: they stay relative. */
  readonly cwd?: string
}

/** One place of a file at which a key is written: under its own name, as its `_file` twin, or under an old name. */
export type Written = {
  readonly name: string
  readonly form: 'value' | 'file' | 'old'
  readonly entry: Entry
}

/** The one text that counts for a key. */
export type Given = {
  readonly text: string
  /** The key as it was written there. */
  readonly name: string
  readonly place: Place
  readonly origin: Origin
  /** Where a relative path in it starts. */
  readonly folder: string
}

type Search = {
  readonly context: ReadContext
  /** `cluster_members[1].` in a record, else empty. */
  readonly prefix: string
  /** What a record's variables are called after; empty: the top level; undefined: it has none. */
  readonly environmentPrefix: string | undefined
  readonly written: readonly Written[]
}

/** Finds what counts for a key: the environment beats the file. `'wrong'`: a problem was told. */
export function findGiven(key: Key<unknown>, search: Search): Given | undefined | 'wrong' {
  return fromEnvironment(key, search) ?? fromFile(key, search)
}

/** Makes a path absolute as far as that is known. */
export function absolutePath(context: ReadContext, folder: string, path: string): string {
  const seen = resolvePath(folder, path)
  return context.cwd === undefined ? seen : resolvePath(context.cwd, seen)
}

function fromFile(key: Key<unknown>, search: Search): Given | undefined | 'wrong' {
  const { problems } = search.context
  const written = search.written.filter((one) => isFilledIn(key, one))
  // The key's own name comes first, so that what is told about it points there.
  const first = written.find((one) => one.name === key.name) ?? written[0]
  if (first === undefined) return undefined
  for (const one of written) {
    if (one.form !== 'old') continue
    problems.warning(one.entry.keyPlace, search.prefix + one.name, {
      rule: `is an old name of ${key.name}; it is still read`,
      remedy: `write it as ${key.name}`,
    })
  }
  const other = written
    .filter((one) => one !== first)
    .find((one) => !sameText(first.entry.tree, one.entry.tree) || one.form === 'file')
  if (other !== undefined) return tellTwice(key, search, [first, other])
  const { tree, keyPlace } = first.entry
  if (tree.kind !== 'scalar') {
    problems.error(keyPlace, search.prefix + first.name, {
      rule: `must be a single value, not ${tree.kind === 'list' ? 'a list' : 'a mapping'}`,
      remedy: `write one ${key.type.name} after the colon; quote a value that starts with { or [`,
    })
    return 'wrong'
  }
  const text = tree.text ?? ''
  const folder = folderOf(tree.place.file)
  const name = search.prefix + first.name
  if (first.form === 'file') {
    return fromSecretFile(search.context, {
      text,
      name,
      folder,
      place: tree.place,
      namedBy: showPlace(tree.place),
    })
  }
  const place = key.secret ? keyPlace : tree.place
  return { text, name, place, folder, origin: { kind: 'file', ...place } }
}

/** An empty text is how people and templates write "not set"; only a secret may really be empty. */
function isFilledIn(key: Key<unknown>, { entry, form }: Written): boolean {
  if (entry.tree.kind !== 'scalar') return true
  return key.secret && form === 'value' ? entry.tree.text !== undefined : Boolean(entry.tree.text)
}

function tellTwice(key: Key<unknown>, search: Search, [a, b]: readonly [Written, Written]): 'wrong' {
  const where = `${a.name} (${showPlace(a.entry.keyPlace)})`
  search.context.problems.error(b.entry.keyPlace, search.prefix + b.name, {
    rule: key.secret
      ? `${where} is given too; only one of the two can count`
      : `contradicts ${where}: both are the same setting`,
    remedy: 'remove one of the two',
  })
  return 'wrong'
}

function sameText(a: Tree, b: Tree): boolean {
  return a.kind === 'scalar' && b.kind === 'scalar' && a.text === b.text
}

function fromEnvironment(key: Key<unknown>, search: Search): Given | undefined | 'wrong' {
  const { environmentPrefix: prefix, context } = search
  if (prefix === undefined || (prefix !== '' && !key.secret)) return undefined
  const { environment, folder } = context
  const named = [key.name, ...(key.aliases ?? []), ...(key.oldNames ?? [])]
  const names = [...named.map((name) => environmentName(prefix + name)), ...(key.env ?? [])]
  const name = names.filter((one) => environment.read(one) !== undefined)[0]
  const fileName = `${environmentName(prefix + key.name)}_FILE`
  const path = key.secret ? environment.read(fileName) : undefined
  if (path !== undefined && name !== undefined) {
    context.problems.error(variablePlace(fileName), search.prefix + key.name, {
      rule: `${name} is given too; only one of the two can count`,
      remedy: 'unset one of the two',
    })
    return 'wrong'
  }
  if (path !== undefined) {
    const at = {
      text: path,
      name: search.prefix + key.name,
      folder,
      place: variablePlace(fileName),
      namedBy: fileName,
    }
    return fromSecretFile(context, at)
  }
  if (name === undefined) return undefined
  return {
    text: environment.read(name) ?? '',
    name: search.prefix + key.name,
    place: variablePlace(name),
    folder,
    origin: { kind: 'environment', name },
  }
}

function fromSecretFile(
  context: ReadContext,
  at: { text: string; name: string; folder: string; place: Place; namedBy: string },
): Given | 'wrong' {
  const path = absolutePath(context, at.folder, at.text)
  const content = context.readSecret(path)?.replace(/\r?\n$/, '')
  const fault = secretFault(content)
  if (content === undefined || fault !== undefined) {
    context.problems.error(at.place, at.name, {
      value: at.text,
      rule: `the file ${path} ${fault ?? 'cannot be read'}`,
      remedy: 'put the secret alone into that file and let the user that runs pg-metako read it (mode 0600)',
    })
    return 'wrong'
  }
  const { name, place, folder, namedBy } = at
  return { text: content, name, place, folder, origin: { kind: 'secret-file', path, namedBy } }
}

function secretFault(content: string | undefined): string | undefined {
  if (content === undefined) return 'cannot be read'
  if (content.trim() === '') return 'is empty'
  return /[\n\r\0]/.test(content) ? 'holds more than one line' : undefined
}
