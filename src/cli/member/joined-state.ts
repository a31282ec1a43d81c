import type { JoinDocument } from '#client'
import { MEMBERSHIP_NOTES_FILE, type MembershipNotes } from '../../model/membership.ts'
import { wallMs } from '../../platform/clock.ts'
import {
  chmodSync,
  chownSync,
  dirname,
  existsSync,
  fsyncSync,
  closeSync,
  join,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
  type FileOwner,
} from '../../platform/disk.ts'
import { messageOf } from '../../std/fault.ts'
import { CommandFailure, EXIT } from '../command-failure.ts'
import { makeFolder } from '../setup/write-files.ts'

const RAFT_FOLDER = 'raft'
/** What an earlier membership left in the state folder. What says how the data came to be stays: see `promotion.json`. */
const OF_EARLIER_MEMBERSHIP = ['founded', 'genesis.json', 'nonce']

/**
 * Refuses a host that is a member already, and data of which nobody knows how it came to be: a state folder says whether the
 * data directory was promoted in an epoch that never opened, and without it such data could pass for the cluster's own.
 */
export function refuseToJoin(place: {
  readonly stateDir: string
  readonly dataDir: string | undefined
}): void {
  const { stateDir, dataDir } = place
  const notes = readNotes(stateDir)
  if (hasConsensusLog(stateDir) && !notes?.left) {
    throw new CommandFailure(
      EXIT.failed,
      `Cannot join: this host is a member of a cluster already, its consensus log is in "${join(stateDir, RAFT_FOLDER)}"`,
      'Remove it from there first, on another member: pg-metako member remove NAME; or name another --data-dir',
    )
  }
  // An agent that found its state folder gone has made a new one since: what it knew is in none of the new files.
  if (dataDir === undefined || isEmptyFolder(dataDir) || notes || existsSync(join(stateDir, 'founded')))
    return
  throw new CommandFailure(
    EXIT.failed,
    `Cannot join with the data in "${dataDir}": the state folder that belongs to it is gone, so nobody knows whether it is the cluster's`,
    `Keep it aside, it is cloned anew from the primary: mv ${dataDir} ${dataDir}.aside`,
  )
}

function hasConsensusLog(stateDir: string): boolean {
  return !isEmptyFolder(join(stateDir, RAFT_FOLDER))
}

function isEmptyFolder(path: string): boolean {
  return !existsSync(path) || readdirSync(path).length === 0
}

function readNotes(stateDir: string): MembershipNotes | undefined {
  try {
    return JSON.parse(readFileSync(join(stateDir, MEMBERSHIP_NOTES_FILE), 'utf8')) as MembershipNotes
  } catch {
    return undefined
  }
}

/**
 * Writes into the state folder that this node joins: the next agent begins an empty log as this incarnation. The log of an
 * earlier membership is kept aside. Order: the notes come last, and until then an agent takes part in nothing.
 */
export function writeJoined(
  stateDir: string,
  about: {
    readonly document: JoinDocument
    readonly incarnation: string
    readonly owner: FileOwner | undefined
  },
): void {
  const { document, incarnation, owner } = about
  const notes: MembershipNotes = {
    ...document.registry,
    removed: [],
    joined: { groupId: document.groupId, incarnation },
  }
  try {
    makeFolder(dirname(stateDir), 0o755, owner)
    makeFolder(stateDir, 0o700, owner)
    if (hasConsensusLog(stateDir)) {
      const raft = join(stateDir, RAFT_FOLDER)
      renameSync(raft, `${raft}.left-${Math.round(wallMs())}`)
    }
    for (const name of OF_EARLIER_MEMBERSHIP) rmSync(join(stateDir, name), { force: true })
    const path = join(stateDir, MEMBERSHIP_NOTES_FILE)
    writeDurably(`${path}.new`, JSON.stringify(notes), owner)
    renameSync(`${path}.new`, path)
  } catch (error) {
    throw new CommandFailure(
      EXIT.failed,
      `Cannot write into "${stateDir}": ${messageOf(error)}`,
      `The token is used up: on a member run "pg-metako member remove ${document.name}" and "pg-metako member add ${document.name} --api-host ADDRESS" for another one`,
    )
  }
}

function writeDurably(path: string, text: string, owner: FileOwner | undefined): void {
  const file = openSync(path, 'w', 0o600)
  try {
    writeSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  chmodSync(path, 0o600)
  if (owner) chownSync(path, owner.uid, owner.gid)
}
