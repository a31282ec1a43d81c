import { apiErrorCodes } from './api-error-code.ts'
import { demoErrorCodes } from './demo-error-code.ts'

/**
 * All codes of faults and of refused requests: what each means, and what an operator does about it. Codes are API: log
 * lines, REST problems and the command line carry them, so renaming one is a breaking change. `docs/reference/errors.md` is
 * generated from this file, and a test holds that each code is raised somewhere and each raised one described.
 */
export type ErrorDescription = {
  /** What it means, and its usual cause. */
  readonly meaning: string
  /** What the operator does now. */
  readonly remedy: string
}

export const errorCodes = {
  LEASE_LOST: {
    meaning:
      'The right to be primary ended before a step that needs it was taken. Another member took over, or the lease could not be renewed in time.',
    remedy:
      'Nothing: the agent looks again and follows the new primary. If it repeats, look at the network between the nodes and at the load of this host.',
  },
  GENESIS_WITHOUT_SELF: {
    meaning: 'This node is not in its own list of members, so it cannot take part in founding the cluster.',
    remedy: 'Compare `identity.node_name` with `cluster_members` on this node.',
  },
  RAFT_GROUP_EXISTS: {
    meaning: 'The state folder already holds the consensus log of another group.',
    remedy: 'Give each cluster a state folder of its own (`paths.state_dir`).',
  },
  RAFT_LOG_ABSENT: {
    meaning: 'The state folder holds no consensus log, although this node took part in the group before.',
    remedy:
      'Restore the folder, or let the node come back as a new member: on another node `pg-metako member remove NAME`, then `pg-metako member add NAME --api-host ADDRESS`, which prints what to run here. Never copy the log of another node.',
  },
  RAFT_OTHER_MEMBER: {
    meaning: 'The consensus log in the state folder was written by a node of another name.',
    remedy:
      'Compare `identity.node_name` and `paths.state_dir`: a vote must never be given twice under two names.',
  },
  RAFT_LOG_CORRUPT: {
    meaning: 'The consensus log does not check: a disk or a hand has changed it.',
    remedy:
      'Keep a copy of the folder and remove it. Run `pg-metako member remove NAME` for this node on another one, then `pg-metako join` here: it comes back as a new learner.',
  },
  MEMBER_NO_QUORUM: {
    meaning: 'The member that was asked sees no majority of the voters, so it can change no members.',
    remedy: 'Ask another member, or start the missing ones.',
  },
  MEMBER_NOT_READY: {
    meaning:
      'The registry of members was not begun yet: the cluster is being created, or the configurations name other members than consensus has.',
    remedy: 'Wait until all nodes answer; if it stays so, see the log of the nodes for what differs.',
  },
  MEMBER_EXISTS: {
    meaning: 'A member has this name or this address already.',
    remedy:
      'Choose another name; for a node that comes back with an empty disk remove the old member first: `pg-metako member remove NAME`.',
  },
  MEMBER_UNKNOWN: {
    meaning: 'There is no member of this name.',
    remedy: 'See `pg-metako member list`.',
  },
  MEMBER_IS_PRIMARY: {
    meaning: 'The member that is the primary can neither be removed nor cloned anew.',
    remedy: 'Switch over first: `pg-metako switchover`.',
  },
  MEMBER_IS_LAST: {
    meaning: 'The last member cannot be removed: there would be no cluster.',
    remedy: 'Stop it instead.',
  },
  MEMBER_IS_ONLY_STANDBY: {
    meaning:
      'Commits wait strictly for a standby, and this member is the only one: without it every write would wait.',
    remedy:
      'Add a member or bring another one back first, or turn `replication.synchronous_mode_strict` off.',
  },
  MEMBER_NOT_HELD: {
    meaning: 'Nobody holds this member out of service.',
    remedy: 'Look at `pg-metako list`; tags of its own file stay until the file is changed.',
  },
  MEMBER_NOT_AWAITED: {
    meaning:
      'Nobody waits for the word that this member is down: it is not a lost primary, or the others take over without it.',
    remedy: 'Look at `pg-metako list`.',
  },
  MEMBER_IS_NEEDED: {
    meaning:
      'Without this member no majority of the voters would answer, or commits wait for it and nobody else can have them.',
    remedy: 'Start the silent members, or remove the dead ones first; let another standby catch up.',
  },
  MEMBER_TAKE_OVER: {
    meaning: 'No member is primary and settled now, and members are not changed during a take-over.',
    remedy: 'Try again when `pg-metako list` shows a primary.',
  },
  MEMBER_BUSY: {
    meaning: 'Others changed the same at the same time.',
    remedy: 'Look at `pg-metako member list` and try again.',
  },
  JOIN_NOT_INVITED: {
    meaning:
      'The token that a node wanted to join with is not known: it was never made, was replaced by a newer one, or is of another cluster.',
    remedy: 'Make a new one on a member: `pg-metako member add NAME --api-host ADDRESS`.',
  },
  JOIN_EXPIRED: {
    meaning: 'The token that a node wanted to join with is older than an hour.',
    remedy: 'Make a new one on a member: `pg-metako member add NAME --api-host ADDRESS`.',
  },
  JOIN_USED: {
    meaning: 'The token that a node wanted to join with was used: it is for one node, once.',
    remedy:
      'If that node was this one and lost what it got, on a member: `pg-metako member remove NAME`, then `pg-metako member add NAME --api-host ADDRESS`.',
  },
  API_NOT_THERE_YET: {
    meaning: 'The request is one of Patroni’s, and what it asks for is not there yet.',
    remedy: 'See "Coming from Patroni" in the documentation for what takes its place.',
  },
  API_TOO_MANY_JOINS: {
    meaning: 'More requests to join came in ten seconds than an agent answers.',
    remedy: 'Wait ten seconds and try again.',
  },
  STORE_NO_QUORUM: {
    meaning: 'No majority of the voters answers, so nothing can be decided or changed.',
    remedy: 'Start the missing nodes, and check that the voters reach each other on their API ports.',
  },
  STORE_TIMEOUT: {
    meaning: 'A majority did not answer in time. The read had no effect.',
    remedy:
      'Nothing: it is asked again. If it repeats, look at the fsync times of the state folders and at the network.',
  },
  STORE_OUTCOME_UNKNOWN: {
    meaning: 'A change was sent and its answer did not come: it may or may not have been made.',
    remedy: 'Look before you repeat it: `pg-metako list` shows what is true now.',
  },
  STORE_STOPPED: {
    meaning: 'The agent is stopping, so its store answers no more.',
    remedy: 'Ask another member, or wait for the agent to be back.',
  },
  STORE_OVERLOADED: {
    meaning: 'More requests wait for the consensus than the limit allows.',
    remedy:
      'Nothing: it is tried again. If it repeats, the disk of the state folder or the network is too slow.',
  },
  STORE_FULL: {
    meaning: 'The tree of the store has reached its limit of keys or bytes.',
    remedy: 'Remove keys that other tools wrote below the namespace; ours are few and small.',
  },
  STORE_BAD_TRANSACTION: {
    meaning: 'A transaction is larger than the store allows.',
    remedy: 'Report it: it is a defect of the caller.',
  },
  STORE_RESTORED: {
    meaning:
      'The etcd that answers is not the one that this node knew: it was set up anew or restored from a backup, so what it says may be older than what members act upon.',
    remedy:
      'Find out which of the two is right. Bring the old etcd back. Once you trust the new one, which has the registry of members too, remove `etcd.json` from the state folder of every node and restart the agents.',
  },
  STORE_ACCESS_DENIED: {
    meaning:
      'The etcd cluster refuses the user or the password, or the user may not read and write below the prefix.',
    remedy: 'Correct the user and password, or grant the role read and write access to the prefix in etcd.',
  },
  STORE_COMMAND_UNKNOWN: {
    meaning: 'The consensus log holds an entry that this version of the program does not know.',
    remedy:
      "Run the newer version on this node; a node is not downgraded across a change of the log's format.",
  },
  GUARD_ABSENT: {
    meaning:
      'The guard process does not answer. Without it a member neither takes over nor starts as primary.',
    remedy: "Nothing: the agent starts it again. If it repeats, read the guard's log in the state folder.",
  },
  WATCHDOG_UNUSABLE: {
    meaning:
      'The watchdog of this host cannot be used. With `watchdog.mode: required` the node does not become primary without it.',
    remedy:
      'Read the message: load its driver, give the group of the agent the right to the device, let no other program hold it, or choose a longer lease.',
  },
  GUARD_RUNNING: {
    meaning: 'Another guard answers for this instance already; the second one ended.',
    remedy: 'Nothing: the agent uses the one that runs.',
  },
  TIMELINE_REUSED: {
    meaning: 'PostgreSQL gave the promoted standby another timeline number than its epoch was given.',
    remedy: 'Nothing: it is stopped and promoted again, under a number that nobody else ever had.',
  },
  PG_SETTING_UNPROVEN: {
    meaning: 'PostgreSQL was not seen to work by a setting that it was given.',
    remedy: 'Nothing: it is tried again. If it stays, look at its log and at its disk.',
  },
  ACK_RULE_UNPROVEN: {
    meaning:
      'Which standbys have to have a commit could not be changed: not every process was seen to work by the new setting.',
    remedy:
      'Nothing: it is tried again; until then the old and the new rule both count. If it stays, look at the standbys.',
  },
  STATE_FOLDER_UNUSABLE: {
    meaning:
      'The folder for the consensus log, token and reports cannot be created or written, or a file in it does not check.',
    remedy: 'Create it for the user that runs the agent, or name another in `paths.state_dir`.',
  },
  WITNESS: {
    meaning: 'This node is a witness: it votes, and has no PostgreSQL that could be acted on.',
    remedy: 'Ask a member that has a database.',
  },
  ATTACHED: {
    meaning:
      'PostgreSQL is run by somebody else (`postgresql.data_dir` is not set), so the agent watches and does not act.',
    remedy: 'Set `postgresql.data_dir` to let the agent manage PostgreSQL.',
  },
  PG_BINARIES_NOT_FOUND: {
    meaning:
      "No PostgreSQL was found that fits: not in the configuration, `PATH`, the system's folders or the npm package.",
    remedy:
      "Install PostgreSQL's server package, or name the folder of its programs in `postgresql.bin_dir` or `PG_METAKO_PG_BIN`.",
  },
  PG_BINARIES_UNUSABLE: {
    meaning: 'The folder that the configuration names does not hold a PostgreSQL that can be run.',
    remedy:
      'Correct `postgresql.bin_dir` or `PG_METAKO_PG_BIN`: it is the folder with `postgres` and `initdb`.',
  },
  PG_VERSION_MISMATCH: {
    meaning: 'The data directory was made by another major version of PostgreSQL.',
    remedy:
      'Name the programs of that version in `postgresql.bin_dir`; a major upgrade is a task of its own.',
  },
  PG_CACHE_UNUSABLE: {
    meaning:
      "PostgreSQL's programs from the npm package cannot be copied to where the database user can run them.",
    remedy: 'Name a folder that this user may enter in `PG_METAKO_CACHE_DIR`.',
  },
  PG_CONTROL_UNREADABLE: {
    meaning:
      "PostgreSQL's control file cannot be read or does not check, so the directory cannot be trusted.",
    remedy: 'Look at the disk; let the node be cloned again after moving the directory away.',
  },
  PG_DATA_DIR_FOREIGN: {
    meaning: "The data directory holds something that is not this cluster's. Nothing of it is touched.",
    remedy: 'Look what it is, and move it away or name another `postgresql.data_dir`.',
  },
  PG_DATA_DIR_IS_MOUNT: {
    meaning: 'The data directory is a mount point. It cannot be replaced as a whole, which a clone needs.',
    remedy: 'Name a folder inside of it.',
  },
  PG_STILL_RUNNING: {
    meaning: 'A step needs PostgreSQL to be down, and it runs.',
    remedy:
      "Nothing: the agent stops it first. If it repeats, look who else starts it: disable the distribution's own unit.",
  },
  PG_NOT_DEAD: {
    meaning: 'Processes of the instance do not end, even after SIGKILL: usually they wait for a disk.',
    remedy:
      'Look at the disk, and restart the host if it does not come back. The lease is not given up before they are gone.',
  },
  PG_START_REFUSED: {
    meaning: 'PostgreSQL was not started, since that would not be safe or possible as things are.',
    remedy: 'Read the reason in the message; `pg-metako list` shows it as well.',
  },
  PG_START_FAILED: {
    meaning: 'PostgreSQL was started and did not come up.',
    remedy: 'Read the last lines of its log, which the message carries.',
  },
  PG_PROMOTE_FAILED: {
    meaning: 'The standby did not become writable in time.',
    remedy:
      "Nothing: it is tried again or another member takes over. If it repeats, look at replay in PostgreSQL's log.",
  },
  PG_PROBE_FAILED: {
    meaning: 'The new primary did not commit its first transaction.',
    remedy: "Look at PostgreSQL's log: a full disk is the usual reason.",
  },
  PG_UNREACHABLE: {
    meaning: 'The agent cannot connect to its own PostgreSQL.',
    remedy: "Check `local_db` (user, password, port) and PostgreSQL's log.",
  },
  PG_QUERY_TIMEOUT: {
    meaning: 'The local PostgreSQL did not answer in time.',
    remedy: 'Look at its load and disk. An agent judges its member by such answers.',
  },
  PG_TOOL_FAILED: {
    meaning: 'A program of PostgreSQL (such as `initdb`) failed.',
    remedy: 'Read its last lines, which the message carries.',
  },
  OS_USER_UNKNOWN: {
    meaning: 'PostgreSQL never runs as root, and there is no unprivileged user to run it as.',
    remedy: 'Name a user in `postgresql.os_user`, or create `postgres`.',
  },
  BOOTSTRAP_INVALID: {
    meaning: 'The section `bootstrap` asks for something that cannot be done.',
    remedy: 'Correct the user, database or option that the message names.',
  },
  LSN_INVALID: {
    meaning: 'A text that should be a WAL position is none.',
    remedy: 'Report it: it is a defect, or a damaged file.',
  },
  MEMBER_HAS_NO_DATA: {
    meaning: 'A member cannot be cloned anew: it was not heard, or has no data that could be replaced.',
    remedy: 'See `pg-metako list`. A member without data is cloned by itself as soon as a primary serves.',
  },
  REWIND_REFUSED: {
    meaning:
      'An old primary cannot be rewound: a precondition of pg_rewind does not hold. Nothing was touched; it is cloned instead.',
    remedy:
      'Nothing for now. To have it rewound next time: data checksums or `wal_log_hints`, the package of the server with `pg_rewind`, and access for the replication role to the primary.',
  },
  REWIND_FAILED: {
    meaning:
      'The program pg_rewind ended, and what it made cannot be used. It stays aside and is cloned instead.',
    remedy: 'Nothing for now. Where WAL was missing, keep more of it: see `wal_keep_size`.',
  },
  CLONE_SOURCE_FOREIGN: {
    meaning: 'The member to be cloned from has another system identifier: it is of another cluster.',
    remedy: 'Compare addresses and `scope` of the nodes: two clusters were mixed up.',
  },
  CLONE_UNPACK_FAILED: {
    meaning: 'The base backup could not be written to disk.',
    remedy:
      'Look at free space and permissions; the half clone is never started and the next try removes it.',
  },
  REPLICATION_CONNECT_FAILED: {
    meaning: 'The primary could not be reached for replication.',
    remedy: 'Check the address, the port and the firewall between the nodes.',
  },
  REPLICATION_REFUSED: {
    meaning: 'The primary refused the replication connection.',
    remedy: 'Compare the replication user and password of the nodes, and `pg_hba.conf`.',
  },
  REPLICATION_LOST: {
    meaning: 'The replication connection broke off in the middle.',
    remedy: "Nothing: it is tried again. If it repeats, look at the network and at the primary's log.",
  },
  REPLICATION_PROTOCOL: {
    meaning: 'The server sent something that the replication protocol does not have here.',
    remedy: 'Check that the address leads to PostgreSQL itself and not to a proxy.',
  },
  PORT_UNUSABLE: {
    meaning: 'The port cannot be listened on.',
    remedy: 'Free it, or choose another; `ss -ltnp` shows who has it.',
  },
  ROUTER_PORT_BUSY: {
    meaning: 'Another process has a port of the router.',
    remedy: 'End that process, or change `router.primary_port`, `replica_port` or `pooled_port`.',
  },
  ROUTER_CANNOT_LISTEN: {
    meaning:
      "A port of the router cannot be listened on: the address is not this host's, or the port needs privileges.",
    remedy: 'Correct `router.listen_host` and the ports.',
  },
  TLS_FILE_UNUSABLE: {
    meaning: "A certificate, a key or a list of ciphers of the router's TLS cannot be read or used.",
    remedy: 'Look at the files that the message names: PEM, readable for the agent, no passphrase.',
  },
  API_CANNOT_LISTEN: {
    meaning: "The API's port cannot be listened on.",
    remedy: 'Free it, or change `identity.api_host` and `identity.api_port`.',
  },
  WIRE_LENGTH_INVALID: {
    meaning:
      "A message of PostgreSQL's protocol has an impossible length: the peer is not PostgreSQL, or bytes were lost.",
    remedy: 'Check that the address leads to PostgreSQL.',
  },
  WIRE_MESSAGE_TOO_LARGE: {
    meaning: 'A message is longer than the limit for its place. The connection is closed.',
    remedy: 'Nothing, unless a client of yours sends such messages.',
  },
  WIRE_PARAMETER_INVALID: {
    meaning:
      'A startup parameter cannot be written in the protocol: it is empty, too long, or holds a zero byte.',
    remedy: 'Correct the name of the user, the database or the application.',
  },
  ...apiErrorCodes,
  ROUTER_RESTART_REFUSED: {
    meaning:
      'No other process has taken the place of the router: there is none, one is being replaced, or the next one could not begin.',
    remedy: "Clients are served as before. Look at the router's log, correct what it names, and ask again.",
  },
  RELOAD_REFUSED: {
    meaning: 'The new configuration has mistakes, so the old one stays in force.',
    remedy: 'Correct them: `pg-metako --config FILE --validate` lists all with line and column.',
  },
  SWITCHOVER_FAILED: {
    meaning: 'The switchover was begun and did not happen. The primary is who the cluster says it is.',
    remedy: "Look at `pg-metako list` and at the primary's log, then try again.",
  },
  SWITCHOVER_OUTCOME_UNKNOWN: {
    meaning: 'The switchover was asked for and its end was not seen.',
    remedy: 'Look at `pg-metako list` before you repeat it.',
  },
  SWITCHOVER_NO_PRIMARY: {
    meaning: 'There is no primary to switch over from.',
    remedy: 'Wait until `pg-metako list` shows one: without a primary the members choose one by themselves.',
  },
  SWITCHOVER_PRIMARY_IS_ANOTHER: {
    meaning: 'Another member is the primary than the one that was named: somebody else switched over before.',
    remedy: 'Look at `pg-metako list`, and ask again if it is still wanted.',
  },
  SWITCHOVER_CANDIDATE_UNKNOWN: {
    meaning: 'The cluster has no member of the name that was given as candidate.',
    remedy: 'Name one of the members that `pg-metako list` shows.',
  },
  SWITCHOVER_CANDIDATE_IS_PRIMARY: {
    meaning: 'The candidate is the primary already.',
    remedy: 'Nothing, or name another member.',
  },
  SWITCHOVER_CANDIDATE_NOT_ELIGIBLE: {
    meaning:
      'The candidate cannot take over now: it is down, does not stream or is too far behind; the message says which.',
    remedy: 'Wait until it streams without lag, or name another member.',
  },
  SWITCHOVER_NO_ELIGIBLE_CANDIDATE: {
    meaning: 'No member can take over now; the message gives the reason for each.',
    remedy: 'Bring a standby back until `pg-metako list` shows it streaming.',
  },
  SWITCHOVER_IN_PROGRESS: {
    meaning: 'Another switchover is under way.',
    remedy: 'Wait for its end, then look at `pg-metako list`.',
  },
  SWITCHOVER_NO_QUORUM: {
    meaning:
      'The member that was asked sees no majority of the voters, so nothing can be changed through it.',
    remedy: 'Ask another member, or start the missing ones.',
  },
  SWITCHOVER_ATTACHED: {
    meaning: 'PostgreSQL is run by somebody else (attached mode), so the agent only watches it.',
    remedy:
      'Set `postgresql.data_dir` to have pg-metako run PostgreSQL, or use the tools of whoever runs it.',
  },
  CONFIG_REFUSED: {
    meaning:
      'A change of the settings for the whole cluster has something in it that cannot be; nothing was changed.',
    remedy: 'Read what the message says of each setting, and send the change again.',
  },
  CONFIG_NO_QUORUM: {
    meaning: 'The settings for the whole cluster cannot be changed while no majority of voters answers.',
    remedy: 'Bring members back; `pg-metako list` shows which ones answer.',
  },
  CONFIG_BUSY: {
    meaning:
      'Somebody else changed the settings for the whole cluster at the same time; nothing was changed.',
    remedy: 'Look at `pg-metako show-config`, and change what is there now.',
  },
  RESTART_NOT_MEANT: {
    meaning: 'A restart of PostgreSQL was asked for under a condition that the member does not meet.',
    remedy:
      'Leave the condition out, or name another member: `pg-metako list` shows roles and what waits for a restart.',
  },
  RESTART_OUTCOME_UNKNOWN: {
    meaning: 'A restart of PostgreSQL was begun and has not ended in time; it may be recovering.',
    remedy: 'Look at `pg-metako list` and at the log of that member.',
  },
  ...demoErrorCodes,
} as const satisfies Readonly<Record<string, ErrorDescription>>

/** What to do about a code; `undefined` for one that is not ours: a SQLSTATE, an errno name. */
export function remedyOf(code: string): string | undefined {
  return (errorCodes as Readonly<Record<string, ErrorDescription>>)[code]?.remedy
}
