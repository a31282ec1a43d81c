import type { DashboardFile, DashboardFiles } from '../api/dashboard-routes.ts'
import { dirname, existsSync, join, readdirSync, readFileSync } from '../platform/disk.ts'
import { sha256Hex } from '../platform/hash.ts'
import { MAIN_FILE } from '../platform/main-file.ts'

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
}
const PACKED = '.gz'

/** The dashboard as the build left it beside the program; empty where there is none. */
export function readDashboard(folder: string = join(dirname(MAIN_FILE), 'dashboard')): DashboardFiles {
  if (!existsSync(folder)) return new Map()
  const names = readdirSync(folder).filter((name) => existsSync(join(folder, name + PACKED)))
  return new Map(names.map((name) => [name, readOne(join(folder, name))]))
}

function readOne(path: string): DashboardFile {
  const body = readFileSync(path)
  return {
    mediaType: MEDIA_TYPES[path.slice(path.lastIndexOf('.') + 1)] ?? 'application/octet-stream',
    body,
    gzip: readFileSync(path + PACKED),
    etag: `"${sha256Hex(body).slice(0, 32)}"`,
  }
}
