import {
  chmodSync,
  chownSync,
  existsSync,
  join,
  lstatSync,
  mkdirSync,
  readdirSync,
  realpathSync,
} from '../../platform/disk.ts'
import { sha256Hex } from '../../platform/hash.ts'
import { canEnter, findDatabaseUser, type OsUser } from '../../platform/os-user.ts'
import { effectiveUid } from '../../platform/process.ts'
import { Fault } from '../../std/fault.ts'
import type { DemoFolders, DemoNode } from './demo-layout.ts'
import { demoStateFile } from './demo-state.ts'

const DATA_ROOT_OUTSIDE = '/var/lib/pg-metako-demo'
const RUN_ROOT_PREFIX = '/tmp/pg-metako-'

/** A Unix socket's path may have 107 bytes; `/node5/run/` and the longest name of a socket need some 40 of them. */
const RUN_ROOT_LENGTH_MAX = 64

/**
 * Makes sure that `root` is ours, and chooses where data and sockets go. As root in a folder that the database user cannot
 * enter, both go outside, to places that depend on nothing but the folder's path: the next start finds them again.
 */
export function chooseFolders(path: string): DemoFolders & { readonly databaseUser: OsUser | undefined } {
  const root = makeRoot(path)
  const databaseUser = findDatabaseUser({})
  const outside = outsideFolders(root)
  const enterable = canEnter(root, databaseUser)
  return {
    root,
    dataRoot: enterable ? root : outside.dataRoot,
    runRoot: enterable && root.length <= RUN_ROOT_LENGTH_MAX ? root : outside.runRoot,
    databaseUser,
  }
}

/** The folders outside that a demo in `root` uses when it has to. */
export function outsideFolders(root: string): { readonly dataRoot: string; readonly runRoot: string } {
  const name = sha256Hex(root).slice(0, 12)
  return { dataRoot: join(DATA_ROOT_OUTSIDE, name), runRoot: `${RUN_ROOT_PREFIX}${name}` }
}

function makeRoot(path: string): string {
  mkdirSync(path, { recursive: true, mode: 0o755 })
  const root = realpathSync(path)
  if (!existsSync(demoStateFile(root)) && readdirSync(root).length > 0) {
    throw new Fault(
      'DEMO_FOLDER_FOREIGN',
      `Cannot use "${root}" for the demo: it is not empty and not of a demo, name another folder with --data`,
      { details: { folder: root } },
    )
  }
  return root
}

/** Folders of one node. PostgreSQL makes its data directory itself; its parent must let the database user through. */
export function makeNodeFolders(node: DemoNode, folders: DemoFolders, user: OsUser | undefined): void {
  mkdirSync(node.folder, { recursive: true, mode: 0o755 })
  mkdirSync(node.stateDir, { recursive: true, mode: 0o700 })
  if (folders.dataRoot !== folders.root) makeGuarded(folders.dataRoot, 0o711)
  mkdirSync(join(node.dataDir, '..'), { recursive: true, mode: 0o755 })
  if (folders.runRoot !== folders.root) makeGuarded(folders.runRoot, 0o711)
  mkdirSync(node.runDir, { recursive: true, mode: 0o755 })
  if (user) chownSync(node.runDir, user.uid, user.gid)
}

/** Names under /tmp can be guessed: a folder that somebody else made there is not used. */
function makeGuarded(path: string, mode: number): void {
  mkdirSync(path, { recursive: true, mode })
  const found = lstatSync(path)
  if (!found.isDirectory() || found.uid !== effectiveUid()) {
    throw new Fault('DEMO_FOLDER_FOREIGN', `Cannot use "${path}" for the demo: it belongs to somebody else`, {
      details: { folder: path },
    })
  }
  chmodSync(path, mode)
}
