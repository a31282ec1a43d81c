/** What SHOW STATS tells of one database; grows for as long as the router lives. Mutable: the data path adds to it. */
export type DatabaseStats = {
  assignments: number
  transactions: number
  queries: number
  received: number
  sent: number
  transactionTimeMs: number
  queryTimeMs: number
  waitTimeMs: number
  clientParses: number
  serverParses: number
  binds: number
  logins: number
}

export function newDatabaseStats(): DatabaseStats {
  return {
    assignments: 0,
    transactions: 0,
    queries: 0,
    received: 0,
    sent: 0,
    transactionTimeMs: 0,
    queryTimeMs: 0,
    waitTimeMs: 0,
    clientParses: 0,
    serverParses: 0,
    binds: 0,
    logins: 0,
  }
}
