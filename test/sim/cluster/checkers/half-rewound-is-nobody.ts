import { Violation } from '../../checkers/violation.ts'
import type { DataVolume } from './nothing-irreplaceable-is-destroyed.ts'

/**
 * G6: what a rewind works on, or left half, never lies where the data directory belongs: whoever starts there, or asks what lies there,
 * would take half of one history and half of another for a member's data.
 */
export function checkHalfRewound(host: string, { directory }: DataVolume): void {
  if (directory?.isDestroyed !== true) return
  throw new Violation(
    `what a rewind of ${host} has torn lies where its data directory belongs`,
    'half-rewound-is-nobody',
  )
}
