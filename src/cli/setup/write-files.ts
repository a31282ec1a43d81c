import {
  chmodSync,
  chownSync,
  dirname,
  existsSync,
  join,
  mkdirSync,
  writeFileSync,
  type FileOwner,
} from '../../platform/disk.ts'
import { messageOf } from '../../std/fault.ts'
import { CommandFailure, EXIT } from '../command-failure.ts'
import type { PlannedFile } from './node-files.ts'

/** Refuses where any of the files is there already: nobody's config or secret is ever replaced. Writes nothing. */
export function refuseToOverwrite(folder: string, files: readonly PlannedFile[], hint: string): void {
  const there = files.map(({ path }) => join(folder, path)).find((path) => existsSync(path))
  if (there === undefined) return
  throw new CommandFailure(EXIT.failed, `Cannot write "${there}": it is there already`, hint)
}

/** Writes the files of one node. A file that is there already is an error, also when it came just now. */
export function writeFiles(folder: string, files: readonly PlannedFile[], owner?: FileOwner): void {
  try {
    for (const { path, text, mode } of files) {
      const file = join(folder, path)
      const parent = dirname(file)
      makeFolder(parent, parent === folder ? 0o755 : 0o700, owner)
      writeFileSync(file, text, { mode, flag: 'wx' })
      // The umask may have taken more away than was meant.
      chmodSync(file, mode)
      if (owner) chownSync(file, owner.uid, owner.gid)
    }
  } catch (error) {
    throw new CommandFailure(EXIT.failed, `Cannot write into "${folder}": ${messageOf(error)}`)
  }
}

/** Does nothing with a folder that is there. */
export function makeFolder(path: string, mode: number, owner: FileOwner | undefined): void {
  if (mkdirSync(path, { recursive: true, mode }) === undefined) return
  chmodSync(path, mode)
  if (owner) chownSync(path, owner.uid, owner.gid)
}
