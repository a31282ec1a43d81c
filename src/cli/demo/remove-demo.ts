import {
  dirname,
  existsSync,
  join,
  lstatSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
} from '../../platform/disk.ts'
import { effectiveUid } from '../../platform/process.ts'
import { codeOf } from '../../std/fault.ts'
import { outsideFolders } from './demo-folders.ts'
import { demoStateFile } from './demo-state.ts'
import { secretsFolder } from './demo-secrets.ts'

const NODE_FOLDER = /^node[1-9]$/
const CONFIG_MARK = '# Written by "pg-metako demo"'

/**
 * Removes what a demo in `root` made, and nothing else: the folders of its nodes, its secrets, its state and what it put
 * outside. To be called when none of its processes is left. Order: the state goes last, since it is what says that all this
 * is ours. Says what was removed.
 */
export function removeDemo(root: string): readonly string[] {
  const { dataRoot, runRoot } = outsideFolders(root)
  const nodes = existsSync(root) ? readdirSync(root).filter((name) => isNodeFolder(root, name)) : []
  const candidates = [
    ...nodes.map((name) => join(root, name)),
    ...[dataRoot, runRoot].filter(isOwn),
    secretsFolder(root),
    demoStateFile(root),
  ]
  const removed = candidates.filter((path) => existsSync(path))
  for (const path of removed) rmSync(path, { recursive: true, force: true, maxRetries: 3 })
  const parent = dirname(dataRoot)
  if (removed.includes(dataRoot) && readdirSync(parent).length === 0) rmdirSync(parent)
  return removed
}

/** Their names can be guessed: what somebody else made there is not ours to delete. */
function isOwn(path: string): boolean {
  return existsSync(path) && lstatSync(path).uid === effectiveUid()
}

function isNodeFolder(root: string, name: string): boolean {
  if (!NODE_FOLDER.test(name)) return false
  try {
    return readFileSync(join(root, name, 'config.yaml'), 'utf8').startsWith(CONFIG_MARK)
  } catch (error) {
    // A start that was killed half-way has made the folder and no config yet.
    return codeOf(error) === 'ENOENT' && existsSync(join(root, name, 'state'))
  }
}
