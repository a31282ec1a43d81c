import { expect, it } from 'vitest'
import { makeCertificate } from '../../../test/support/certificates.ts'
import { tlsSettings } from '../../../test/support/tls-files.ts'
import { RouterTls } from './router-tls.ts'

const DAY_MS = 86_400_000
const authority = makeCertificate({ commonName: 'authority' })
const issued = (validForMs?: number) =>
  makeCertificate({ commonName: 'router', issuer: authority, ...(validForMs ? { validForMs } : {}) })

/** Files as they are now; a test changes them. */
function filesOf(identity = issued()): Record<string, string> {
  return { 'r.crt': identity.cert, 'r.key': identity.key, 'ca.crt': authority.cert }
}

function open(files: Record<string, string>, changes: { ciphers?: string; caFile?: string } = {}): RouterTls {
  const client = { mode: 'require', certFile: 'r.crt', keyFile: 'r.key', ...changes } as const
  return new RouterTls(tlsSettings({ client }), (path) => {
    const text = files[path]
    if (text === undefined) throw new Error(`EACCES: permission denied, open '${path}'`)
    return text
  })
}

it('says at its start which file is missing, unreadable or unfit', () => {
  const good = filesOf()
  expect(() => open({ 'r.crt': good['r.crt']! })).toThrow(/client_tls_key_file: EACCES.*r\.key/)
  expect(() => open({ ...good, 'r.key': issued().key })).toThrow(/the key belongs to another certificate/)
  expect(() => open({ ...good, 'r.crt': 'none' })).toThrow(/client_tls_\*/)
  expect(() => open({ ...good, 'ca.crt': 'none' }, { caFile: 'ca.crt' })).toThrow(/authority/)
  expect(() => open(good, { ciphers: 'NO-SUCH-CIPHER' })).toThrow(/cipher/i)
  expect(() => open(filesOf())).not.toThrow()
  try {
    open({})
  } catch (error) {
    expect(error).toMatchObject({ code: 'TLS_FILE_UNUSABLE' })
  }
})

it('reads no file for a side without TLS', () => {
  const tls = new RouterTls(tlsSettings({ client: { certFile: 'r.crt', keyFile: 'r.key' } }), () => {
    throw new Error('nothing is to be read')
  })
  expect(tls.acceptor).toBeUndefined()
  expect(tls.forServers).toBeUndefined()
})

it('keeps what it had when the files cannot be used at a reload', () => {
  const files = filesOf()
  const tls = open(files)
  files['r.key'] = issued().key
  expect(tls.reload()).toMatch(/client_tls_\*/)
  Object.assign(files, filesOf())
  expect(tls.reload()).toBeUndefined()
})

it('names the certificates that end within 30 days, and those that have ended', () => {
  const now = Date.now()
  expect(open(filesOf(issued(31 * DAY_MS))).endingSoon(now)).toEqual([])
  expect(open(filesOf(issued(29 * DAY_MS))).endingSoon(now)).toMatchObject([{ file: 'r.crt' }])
  const [ended] = open(filesOf(issued(-DAY_MS / 2))).endingSoon(now)
  expect(ended?.validUntil).toBeLessThan(now)
})
