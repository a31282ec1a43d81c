import { note, type Check, type ClusterFacts } from '../diagnosis.ts'

export const backups: Check<ClusterFacts> = {
  name: 'backups',
  about: 'says that there are none: replication copies a DROP TABLE too',
  judge: ({ nodes }) => {
    const archives = nodes.some(({ database }) => database?.archiving !== undefined)
    return [
      note(
        'NO_BACKUPS',
        `pg-metako makes no backups yet${archives ? '; an archive_command is at work here, whose backups it does not know' : ', and nothing archives WAL here'}: what is deleted is deleted on every member`,
        'Use pgBackRest, Barman or WAL-G beside it, and try a restore',
      ),
    ]
  },
}
