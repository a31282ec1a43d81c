/** The folder part of a POSIX path: `.` when there is none. */
export function folderOf(path: string): string {
  const slash = path.lastIndexOf('/')
  if (slash === -1) return '.'
  return slash === 0 ? '/' : path.slice(0, slash)
}

/** `path` seen from `folder`, without `.` and `..` where they can be resolved. Absolute paths stay. */
export function resolvePath(folder: string, path: string): string {
  const joined = path.startsWith('/') ? path : `${folder}/${path}`
  const absolute = joined.startsWith('/')
  const parts: string[] = []
  for (const part of joined.split('/')) {
    if (part === '' || part === '.') continue
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop()
    else if (part !== '..' || !absolute) parts.push(part)
  }
  const rest = parts.join('/')
  if (absolute) return `/${rest}`
  return rest === '' ? '.' : rest
}

/** Bytes of `text` in UTF-8: what the kernel counts in a path. */
export function byteLength(text: string): number {
  return new TextEncoder().encode(text).length
}

/** FNV-1a, 32 bits, as eight hex digits: names a folder after a path. Not a secret, not a checksum. */
export function shortHash(text: string): string {
  let hash = 0x811c9dc5
  for (const byte of new TextEncoder().encode(text)) {
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
  }
  return hash.toString(16).padStart(8, '0')
}
