import type { Key } from './key.ts'
import { poolKeys } from './keys/pool-keys.ts'
import { runtimeKeys } from './keys/runtime-keys.ts'
import { clientTlsKeys, serverTlsKeys, type TlsSideKeys } from './keys/tls-keys.ts'
import type { Problems } from './problem.ts'
import type { Settings } from './settings.ts'

/** What TLS at the router needs beside its mode. */
export function checkRouterTls(
  settings: Settings,
  problems: Problems,
  fileExists: ((path: string) => boolean) | undefined,
): void {
  if (!settings.need(runtimeKeys.routerEnabled)) return
  checkSide(clientTlsKeys, { settings, problems, fileExists, needsCertificate: true })
  checkSide(serverTlsKeys, { settings, problems, fileExists, needsCertificate: false })
  const clientMode = settings.need(clientTlsKeys.mode)
  if (settings.need(poolKeys.authType) !== 'cert' || clientMode.startsWith('verify-')) return
  problems.error(settings.placeOf(poolKeys.authType), poolKeys.authType.name, {
    value: 'cert',
    rule: `needs certificates that were checked, and router.client_tls_sslmode is ${clientMode}`,
    remedy: 'write "client_tls_sslmode: verify-full" and client_tls_ca_file under router:',
  })
}

type SideChecks = {
  readonly settings: Settings
  readonly problems: Problems
  readonly fileExists: ((path: string) => boolean) | undefined
  readonly needsCertificate: boolean
}

function checkSide(keys: TlsSideKeys, checks: SideChecks): void {
  const { settings, problems, fileExists } = checks
  const mode = settings.need(keys.mode)
  const { certFile, keyFile, caFile } = keys
  if (mode === 'disable') return warnOfIdleCertificate(keys, checks)
  const isPairNeeded =
    checks.needsCertificate || settings.get(certFile) !== undefined || settings.get(keyFile) !== undefined
  if (isPairNeeded) for (const key of [certFile, keyFile]) need(key, 'a certificate and its key')
  if (mode.startsWith('verify-')) need(caFile, 'the certificates of those who sign')
  for (const key of [certFile, keyFile, caFile]) {
    const file = settings.get(key)
    if (file === undefined || fileExists === undefined || fileExists(file)) continue
    problems.error(settings.placeOf(key), key.name, {
      value: file,
      rule: 'there is no such file',
      remedy: `write the path of your PEM file; or, to go without TLS there, "${lastPart(keys.mode)}: disable"`,
    })
  }

  function need(key: Key<string>, what: string): void {
    if (settings.get(key) !== undefined || settings.isWrong(key)) return
    problems.error(settings.placeOf(keys.mode), key.name, {
      rule: `is missing: ${keys.mode.name} ${mode} needs ${what}`,
      remedy: `add "${lastPart(key)}: PATH" under router:, or write "${lastPart(keys.mode)}: disable"`,
    })
  }
}

function warnOfIdleCertificate(keys: TlsSideKeys, { settings, problems }: SideChecks): void {
  if (!settings.isGiven(keys.certFile) || settings.isWrong(keys.mode)) return
  problems.warning(settings.placeOf(keys.certFile), keys.certFile.name, {
    rule: `has no effect: ${keys.mode.name} is disable`,
    remedy: `write "${lastPart(keys.mode)}: require" (or prefer) under router:`,
  })
}

function lastPart({ name }: { readonly name: string }): string {
  return name.slice(name.indexOf('.') + 1)
}
