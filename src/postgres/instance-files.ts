import { walNameOf } from '../model/ack-rule.ts'
import type { Role } from '../model/member.ts'
import { fs, join, readTextIfPresent, writeFileDurably, type FileOwner } from '../platform/disk.ts'
import { readControlFile } from './control-file.ts'
import { cleanAutoConf, includeSettings, readIncarnation, SETTINGS_FILE } from './data-directory.ts'
import type { InstanceOptions } from './instance-outcome.ts'
import { higherOf, type ReplicaLimits } from './replica-limits.ts'
import { renderHba, renderSettings, type ReplicationSource, type SettingsInput } from './parameters.ts'

/** The files that the agent writes into a data directory, and what it learns from them. */
export type FilesInput = Omit<SettingsInput, 'follow' | 'atLeast' | 'walName' | 'synchronousNames'> & {
  readonly superuser: string
  readonly database: string
  readonly pgHba: readonly string[]
  readonly owner: FileOwner | undefined
  /** What the primary that it follows runs with, as far as it was asked. */
  readonly above?: ReplicaLimits
}

export type SettingsChoice = {
  follow: ReplicationSource | undefined
  as: Role
  synchronousNames: string
}

/** Writes settings and access rules; true when something changed, which a running server learns by a reload. */
export async function writeInstanceFiles(
  folder: string,
  input: FilesInput,
  options: SettingsChoice,
): Promise<boolean> {
  const { owner } = input
  const settings = await writeSettings(folder, input, options)
  const access = await writeIfChanged(
    join(folder, 'pg_hba.conf'),
    renderHba({
      superuser: input.superuser,
      replicationUser: input.replication.name,
      database: input.database,
      rules: input.pgHba,
    }),
    owner,
  )
  await includeSettings(folder, owner)
  await cleanAutoConf(folder, owner)
  return settings || access
}

/** The settings alone: all that changes while a server runs, and a take-over waits for it. */
export async function writeSettings(
  folder: string,
  input: FilesInput,
  { follow, as, synchronousNames }: SettingsChoice,
): Promise<boolean> {
  const [control, incarnation = ''] = await Promise.all([
    // A standby whose limits are lower than its primary's does not start; pg_control remembers the primary's.
    as === 'standby' ? readControlFile(folder) : undefined,
    readIncarnation(folder),
  ])
  const content = renderSettings({
    ...input,
    follow,
    atLeast: control ? higherOf(control.primarySettings, input.above ?? {}) : {},
    walName: walNameOf({ name: input.memberName, incarnation }),
    synchronousNames,
  })
  return writeIfChanged(join(folder, SETTINGS_FILE), content, input.owner)
}

/** Whom the directory's settings point at; `undefined` when at nobody. */
export async function readFollowed(folder: string): Promise<ReplicationSource | undefined> {
  const text = await readTextIfPresent(join(folder, SETTINGS_FILE))
  const line = /^primary_conninfo = '(.*)'$/m.exec(text ?? '')?.[1]
  const match = /host(?:addr)?=''([^']+)'' port=''(\d+)''/.exec(line ?? '')
  return match ? { host: match[1] as string, port: Number(match[2]) } : undefined
}

/** Who the directory's settings let commits wait for. */
export async function readSynchronousNames(folder: string): Promise<string> {
  const text = await readTextIfPresent(join(folder, SETTINGS_FILE))
  const value = /^synchronous_standby_names = '(.*)'$/m.exec(text ?? '')?.[1] ?? ''
  return value.replaceAll("''", "'").replaceAll('\\\\', '\\')
}

async function writeIfChanged(path: string, content: string, owner: FileOwner | undefined): Promise<boolean> {
  if ((await readTextIfPresent(path)) === content) return false
  await writeFileDurably(path, content, { owner })
  return true
}

export function filesOf(options: InstanceOptions, socketDir: string | undefined): FilesInput {
  return {
    port: options.port,
    listenAddresses: options.listenAddresses,
    socketDir,
    memberName: options.memberName,
    clusterName: options.clusterName,
    replication: options.replication,
    useSlots: options.useSlots,
    parameters: options.parameters,
    majorVersion: options.binaries.majorVersion,
    superuser: options.superuser.name,
    database: options.database,
    pgHba: options.pgHba,
    owner: options.osUser,
  }
}

/** The output of the server: beside the data directory, so that no clone copies it. */
export function logFileOf(dataDir: string): string {
  return `${dataDir}.log`
}

/** At a start the log of the run before is kept, if it is worth it. */
export async function rotateLog(path: string, limitBytes: number): Promise<void> {
  const stat = await fs.stat(path).catch(() => undefined)
  if (stat && stat.size > limitBytes) await fs.rename(path, `${path}.1`)
}

/** A running server keeps its file open, so the content is moved and the file emptied; a few lines may be lost in between. */
export async function trimLog(path: string, limitBytes: number): Promise<void> {
  const stat = await fs.stat(path).catch(() => undefined)
  if (!stat || stat.size <= limitBytes) return
  await fs.copyFile(path, `${path}.1`)
  await fs.truncate(path, 0)
}

/** The last lines that the server wrote since `offset`. */
export async function logTail(path: string, offset: number, lines: number): Promise<readonly string[]> {
  const text = await fs.readFile(path).catch(() => Buffer.alloc(0))
  const recent = text.subarray(Math.min(offset, text.length)).toString('utf8')
  return recent.trimEnd().split('\n').slice(-lines)
}
