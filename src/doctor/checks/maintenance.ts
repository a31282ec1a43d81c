import type { NodeFacts } from '#client'
import { timeSpan } from '../../std/quantity-text.ts'
import { HOUR } from '../../std/units.ts'
import { error, note, ok, warning, type Check } from '../diagnosis.ts'

/** PostgreSQL itself warns from here on ("Preventing Transaction ID Wraparound Failures"), and takes no writes at 3 million before 2³¹. */
const XID_WARNING = 1_000_000_000
const XID_ERROR = 1_900_000_000
/** Longer than any report that somebody waits for. */
const TRANSACTION_OLD_MS = 6 * HOUR

export const archiving: Check<NodeFacts> = {
  name: 'archiving',
  about: 'archive_command succeeds',
  judge: ({ database }) => {
    if (!database?.archiving) return []
    const { failed, isFailing, lastWal } = database.archiving
    if (!isFailing) return [ok('ARCHIVES', `the last segment was archived${lastWal ? `: ${lastWal}` : ''}`)]
    return [
      error(
        'ARCHIVING_FAILS',
        `archive_command fails (${failed} times): WAL piles up in pg_wal until the disk is full`,
        "Run the command by hand as PostgreSQL's user; its output is in PostgreSQL's log",
      ),
    ]
  },
}

export const freeze: Check<NodeFacts> = {
  name: 'freeze',
  about: 'transaction ids are frozen in time',
  judge: ({ database }) => {
    const age = database?.oldestXidAge ?? 0
    if (age < XID_WARNING) return []
    const evidence = `the oldest transaction id is ${Math.round(age / 1e6)} million transactions old; PostgreSQL takes no writes at about 2144 million`
    const fix =
      'vacuumdb --all --freeze --jobs 4, after ending what holds it back: old transactions, prepared transactions, slots'
    return [age >= XID_ERROR ? error('XIDS_RUN_OUT', evidence, fix) : warning('XIDS_OLD', evidence, fix)]
  },
}

export const transactions: Check<NodeFacts> = {
  name: 'transactions',
  about: 'no transaction is open for hours, none is prepared and forgotten',
  judge: ({ database }) => {
    if (!database) return []
    const { oldestTransactionMs, preparedTransactions } = database
    return [
      ...(oldestTransactionMs !== undefined && oldestTransactionMs >= TRANSACTION_OLD_MS
        ? [
            warning(
              'TRANSACTION_OLD',
              `a transaction is open for ${timeSpan(oldestTransactionMs)}: nothing that died since then can be vacuumed`,
              'select pid, usename, application_name, xact_start, query from pg_stat_activity order by xact_start limit 3; then select pg_terminate_backend(PID)',
            ),
          ]
        : []),
      ...(preparedTransactions > 0
        ? [
            note(
              'PREPARED_TRANSACTIONS',
              `${preparedTransactions} prepared transactions wait: they survive a failover, and hold their locks`,
              "If nobody finishes them: rollback prepared 'GID', with gid from pg_prepared_xacts",
            ),
          ]
        : []),
    ]
  },
}
