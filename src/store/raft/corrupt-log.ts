import { Fault } from '../../std/fault.ts'

/** What stood here was promised to others and cannot be told any more: this member must not vote again under its identity. */
export function corruptLog(folder: string, reason: string): Fault {
  return new Fault(
    'RAFT_LOG_CORRUPT',
    `Cannot use the consensus log in "${folder}": ${reason}; keep a copy of the folder and remove it, run ` +
      '"pg-metako member remove NAME" for this node on another one, then "pg-metako join" here: it comes back as a new learner',
    { details: { folder, reason } },
  )
}
