import type { Logger } from '../../platform/log.ts'

/** Where etcd knows the members the configuration names none of the others, and need not: that this is a difference helps nobody. */
export function withoutDifference(log: Logger): Logger {
  return {
    debug: (message, fields) => log.debug(message, fields),
    info: (message, fields) => log.info(message, fields),
    warn: (message, fields) => {
      if (fields?.['difference'] === undefined) log.warn(message, fields)
    },
    error: (message, fields) => log.error(message, fields),
    with: (fields) => withoutDifference(log.with(fields)),
    setLevel: (level) => log.setLevel(level),
  }
}
