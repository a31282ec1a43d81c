import { chmodSync, existsSync, join, mkdirSync, readFileSync, writeFileSync } from '../../platform/disk.ts'
import { randomSecret } from '../../platform/random.ts'
import type { DemoSecretFiles } from './demo-config.ts'

/** 144 bits; the password stays short enough for a connection string that fits into 80 columns. */
const SECRET_BYTES = 18
const PASSWORD_BYTES = 12

export function secretsFolder(root: string): string {
  return join(root, 'secrets')
}

/** Makes each secret at the first start and keeps it for as long as the data lives. */
export function ensureSecrets(root: string): DemoSecretFiles {
  const folder = secretsFolder(root)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const files = secretFiles(root)
  keepOrMake(files.superuserPassword, PASSWORD_BYTES)
  keepOrMake(files.appPassword, PASSWORD_BYTES)
  keepOrMake(files.clusterSecret, SECRET_BYTES)
  keepOrMake(files.apiToken, SECRET_BYTES)
  return files
}

export function secretFiles(root: string): DemoSecretFiles {
  const folder = secretsFolder(root)
  return {
    superuserPassword: join(folder, 'superuser-password'),
    appPassword: join(folder, 'app-password'),
    clusterSecret: join(folder, 'cluster-secret'),
    apiToken: join(folder, 'api-token'),
  }
}

export function readSecret(file: string): string {
  return readFileSync(file, 'utf8').trim()
}

function keepOrMake(file: string, bytes: number): void {
  if (!existsSync(file) || readSecret(file) === '') {
    writeFileSync(file, `${randomSecret(bytes)}\n`, { mode: 0o600 })
  }
  chmodSync(file, 0o600)
}
