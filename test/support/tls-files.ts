import { chmodSync, existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TlsSettings, TlsSide } from '../../src/model/tls-settings.ts'
import type { TestCertificate } from './certificates.ts'
import type { Workspace } from './postgres.ts'

/** Writes texts as files that the database user can read, and nobody else where they are keys. */
export class TlsFiles {
  readonly #workspace: Pick<Workspace, 'folder' | 'own'>

  constructor(workspace: Pick<Workspace, 'folder' | 'own'>) {
    this.#workspace = workspace
  }

  write(name: string, text: string): string {
    const path = join(this.#workspace.folder, name)
    writeFileSync(path, text, { mode: 0o600 })
    chmodSync(path, 0o600)
    this.#workspace.own(path)
    return path
  }

  /** The certificate and the key of one side. */
  pair(name: string, { cert, key }: TestCertificate): { certFile: string; keyFile: string } {
    return { certFile: this.write(`${name}.crt`, cert), keyFile: this.write(`${name}.key`, key) }
  }
}

const SECURE = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3' } as const

export function tlsSettings(
  sides: { client?: Partial<TlsSide>; server?: Partial<TlsSide> } = {},
): TlsSettings {
  const side = (changes: Partial<TlsSide> = {}): TlsSide => ({ mode: 'disable', ...SECURE, ...changes })
  return { client: side(sides.client), server: side(sides.server) }
}

/** Debian's psql, where it is installed. */
export function findPsql(): string | undefined {
  const folders = ['/usr/bin', '/usr/lib/postgresql/15/bin']
  return folders.map((folder) => join(folder, 'psql')).find((path) => existsSync(path))
}
