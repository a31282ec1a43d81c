import type { CertificateFacts, DiskFacts, HostFacts } from '#client'
import { monotonicMs, wallMs } from '../../platform/clock.ts'
import { dirname, fs, join, readFileSync } from '../../platform/disk.ts'
import { openFilesOf } from '../../platform/process-table.ts'
import { checkCertificate } from '../../platform/tls.ts'
import { codeOf, messageOf } from '../../std/fault.ts'

/** What of a host is looked at. Folders need not be there yet: the nearest one above counts. */
export type HostQuestion = {
  readonly stateDir: string
  readonly dataDir?: string | undefined
  readonly processes: readonly { readonly name: string; readonly pid: number }[]
  readonly certificates: readonly CertificateQuestion[]
}

export type CertificateQuestion = { readonly for: string; readonly file: string; readonly keyFile: string }

const FLUSHES = 20
/** A disk that is so slow need not be asked twenty times. */
const FLUSHING_MS_MAX = 1000
/** As much as a small entry of a log. */
const FLUSH_BYTES = new Uint8Array(512)
const PROBE_FILE = 'doctor.probe'

/** Looks now, and waits for no longer than twenty small writes take. */
export async function hostFacts(question: HostQuestion): Promise<HostFacts> {
  const { stateDir, dataDir, processes, certificates } = question
  const disks = await disksOf([
    { holds: 'state', folder: stateDir },
    ...(dataDir === undefined
      ? []
      : [
          { holds: 'data' as const, folder: dataDir },
          { holds: 'WAL' as const, folder: join(dataDir, 'pg_wal') },
        ]),
  ])
  return {
    disks,
    ...(await flushOf(stateDir)),
    files: processes.flatMap(({ name, pid }) => {
      const files = openFilesOf(pid)
      return files ? [{ process: name, ...files }] : []
    }),
    certificates: certificates.map(certificateFacts),
  }
}

type Place = { readonly holds: DiskFacts['holds'][number]; readonly folder: string }

/** One entry for each filesystem. */
async function disksOf(places: readonly Place[]): Promise<readonly DiskFacts[]> {
  const found = new Map<number, DiskFacts>()
  for (const { holds, folder } of places) {
    const at = await nearestFolder(folder)
    if (at === undefined) continue
    const [{ dev }, { bavail, blocks, bsize }] = await Promise.all([fs.stat(at), fs.statfs(at)])
    const known = found.get(dev)
    found.set(dev, {
      holds: [...(known?.holds ?? []), holds],
      folder: known?.folder ?? folder,
      freeBytes: bavail * bsize,
      totalBytes: blocks * bsize,
    })
  }
  return [...found.values()]
}

async function nearestFolder(folder: string): Promise<string | undefined> {
  for (let at = folder; ; at = dirname(at)) {
    try {
      if ((await fs.stat(at)).isDirectory()) return at
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') return undefined
    }
    if (at === dirname(at)) return undefined
  }
}

/** How long a small write takes until it is durable, in the folder where the consensus log lies. */
async function flushOf(stateDir: string): Promise<Pick<HostFacts, 'flush' | 'flushTrouble'>> {
  const folder = await nearestFolder(stateDir)
  if (folder === undefined) return { flushTrouble: `${stateDir} cannot be looked at` }
  const path = join(folder, PROBE_FILE)
  try {
    const file = await fs.open(path, 'w', 0o600)
    const took: number[] = []
    const begunAt = monotonicMs()
    try {
      while (took.length < FLUSHES && monotonicMs() - begunAt < FLUSHING_MS_MAX) {
        const at = monotonicMs()
        await file.write(FLUSH_BYTES)
        await file.datasync()
        took.push(monotonicMs() - at)
      }
    } finally {
      await file.close()
      await fs.rm(path, { force: true })
    }
    const sorted = took.toSorted((one, other) => one - other)
    const [medianMs, worstMs] = [sorted[Math.floor(sorted.length / 2)] ?? 0, sorted.at(-1) ?? 0]
    return { flush: { medianMs: rounded(medianMs), worstMs: rounded(worstMs), times: sorted.length } }
  } catch (error) {
    return { flushTrouble: messageOf(error) }
  }
}

function certificateFacts({ for: purpose, file, keyFile }: CertificateQuestion): CertificateFacts {
  try {
    const { validUntil } = checkCertificate(readFileSync(file, 'utf8'), readFileSync(keyFile, 'utf8'))
    const expiresInMs = Math.round(validUntil - wallMs())
    return { for: purpose, file, expiresAt: new Date(validUntil).toISOString(), expiresInMs }
  } catch (error) {
    return { for: purpose, file, trouble: messageOf(error) }
  }
}

function rounded(ms: number): number {
  return ms >= 10 ? Math.round(ms) : Number(ms.toFixed(1))
}
