import type { NodeFacts } from '#client'
import { error, ok, warning, type Check } from '../diagnosis.ts'

const FULL = 0.8
/** A client and its server connection, and what the router itself holds. */
const FILES_PER_CLIENT = 2
const OWN_FILES = 100

export const files: Check<NodeFacts> = {
  name: 'files',
  about: 'the limits on open files allow what the configuration promises',
  judge: ({ host, setup }) => {
    const found = host.files.flatMap(({ process, open, max }) => {
      const evidence = `the ${process} has ${open} of ${max} files open`
      const fix =
        'Set LimitNOFILE=65536 in its systemd unit, then: systemctl daemon-reload && systemctl restart pg-metako'
      if (open >= max * FULL) return [error('FILES_SCARCE', evidence, fix)]
      const wanted = setup.clientConnectionsMax * FILES_PER_CLIENT + OWN_FILES
      return process === 'router' && max < wanted
        ? [
            warning(
              'FILES_LIMIT_LOW',
              `the router may open ${max} files, and ${setup.clientConnectionsMax} clients need ${wanted}`,
              fix,
            ),
          ]
        : []
    })
    return found.length === 0 && host.files.length > 0
      ? [ok('FILES', host.files.map(({ process, open, max }) => `${process}: ${open} of ${max}`).join(', '))]
      : found
  },
}
