import { KiB } from '../../std/units.ts'
import { folderOf, resolvePath } from '../path-text.ts'
import type { Place, Problems } from '../problem.ts'
import { parseIni, type IniItem } from './ini-text.ts'

const FILE_LENGTH_MAX = 1024 * KiB
/** More, or an include of itself, is a mistake. */
const FILES_MAX = 32

export type IniLine = {
  readonly section: string
  readonly name: string
  readonly value: string
  readonly place: Place
}

type IniReader = { readonly readText: (path: string) => string | undefined; readonly problems: Problems }

/**
 * All lines of a `pgbouncer.ini` and of what it includes, in order. An include is read where it stands: the section goes on into
 * it and out of it again, as with PgBouncer.
 */
export function readIniFiles(
  path: string,
  at: { readonly place: Place; readonly key: string; readonly written: string },
  reader: IniReader,
): readonly IniLine[] {
  const lines: IniLine[] = []
  let section: string | undefined
  let files = 0

  function take(item: IniItem): void {
    switch (item.kind) {
      case 'section':
        section = item.name
        return
      case 'include':
        return read(resolvePath(folderOf(item.place.file), item.path), {
          place: item.place,
          key: '%include',
          written: item.path,
        })
      case 'broken':
        return reader.problems.error(item.place, '', item.finding)
      case 'setting': {
        const { name, value, place } = item
        if (section !== undefined) return void lines.push({ section, name, value, place })
        return reader.problems.error(place, '', {
          rule: 'this line stands before the first section',
          remedy: 'write "[pgbouncer]" before it',
        })
      }
    }
  }

  function read(file: string, from: { place: Place; key: string; written: string }): void {
    files += 1
    const text = files > FILES_MAX ? undefined : reader.readText(file)
    if (text !== undefined && text.length <= FILE_LENGTH_MAX) return parseIni(text, file).forEach(take)
    reader.problems.error(from.place, from.key, {
      value: from.written,
      rule:
        text === undefined && files <= FILES_MAX
          ? `cannot read the file ${file}`
          : `this is more than ${FILES_MAX} files, or a file of more than ${FILE_LENGTH_MAX} characters`,
      remedy: 'check the path, and who may read the file; a relative one starts at the file that names it',
    })
  }

  read(path, at)
  return lines
}
