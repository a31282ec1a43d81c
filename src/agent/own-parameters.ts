import { clusterParameters } from '../model/dynamic-config.ts'
import { rememberLast } from '../std/remember-last.ts'

/**
 * Names what is set for the whole cluster and otherwise in this node's own file: there the file decides, as with Patroni. `settings`: of the
 * whole cluster, as they stand in the store; they hardly ever change.
 */
export function keptParameters(
  ownFile: Readonly<Record<string, string>>,
): (settings: string | undefined) => readonly string[] {
  const own = Object.fromEntries(Object.entries(ownFile).map(([name, value]) => [name.toLowerCase(), value]))
  return rememberLast((settings) => {
    const wanted = clusterParameters(settings)
    return Object.keys(wanted).filter((name) => own[name] !== undefined && own[name] !== wanted[name])
  })
}
