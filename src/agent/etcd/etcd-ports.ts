import type { NodeConfig } from '../../config/node-config.ts'
import { keysOf } from '../../ha/keys.ts'
import { readFileSync } from '../../platform/disk.ts'
import type { Logger } from '../../platform/log.ts'
import { createEtcdStore } from '../../store/etcd/etcd-store.ts'
import type { EtcdFoundingDeps, EtcdNotes } from './etcd-founding.ts'

/** The etcd that the configuration names; `undefined` where consensus is built in. Throws where a file of it cannot be read. */
export function etcdPorts(
  { etcd, namespace, scope }: NodeConfig,
  deps: { log: Logger; notes: EtcdNotes },
): Pick<EtcdFoundingDeps, 'notes' | 'openStore'> | undefined {
  if (!etcd) return undefined
  const { endpoints, username, password, caFile, certFile, keyFile } = etcd
  const files = { ca: caFile, cert: certFile, key: keyFile }
  const given = Object.entries(files).filter((file): file is [string, string] => file[1] !== undefined)
  const tls = Object.fromEntries(given.map(([name, path]) => [name, readFileSync(path, 'utf8')]))
  return {
    notes: deps.notes,
    openStore: (known) =>
      createEtcdStore(
        { log: deps.log },
        {
          endpoints,
          prefix: keysOf(namespace, scope).root,
          ...(given.length > 0 ? { tls } : {}),
          ...(username === undefined || password === undefined
            ? {}
            : { credentials: { user: username, password } }),
          ...(known ? { known } : {}),
        },
      ),
  }
}
