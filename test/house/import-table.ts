/**
 * The import table of ARCHITECTURE.md as data: who may import whom. It is the one source of three things: the check in
 * `architecture.test.ts`, the allow-lists in `.oxlintrc.json` (so that an editor shows a wrong arrow while it is drawn),
 * and the table in ARCHITECTURE.md. Change it here, with a reason in the commit, and run `npm run docs`.
 */
export type RoomRule = {
  /** Folder or file, relative to the root of the repository. The longest match counts. */
  readonly path: string
  /** What the room is for, in a few words. */
  readonly purpose: string
  /** Rooms that it may import; itself always. */
  readonly rooms: readonly string[]
  /** npm packages that it adapts. */
  readonly packages: readonly string[]
  /** No input, output, clock, randomness or logging: facts come in as arguments, results go out as values. */
  readonly pure: boolean
  /** May import `node:*`. */
  readonly touchesNode: boolean
  /** May import the API contract, `#client`. */
  readonly speaksToApi: boolean
}

const room = (
  path: string,
  purpose: string,
  rule: Partial<Omit<RoomRule, 'path' | 'purpose'>>,
): RoomRule => ({
  path,
  purpose,
  rooms: [],
  packages: [],
  pure: false,
  touchesNode: false,
  speaksToApi: false,
  ...rule,
})

const PARTS = ['std', 'model', 'config', 'raft', 'wire', 'sql', 'auth', 'platform'] as const
const EVERYTHING_BUT_CLI = [...PARTS, 'store', 'postgres', 'ha', 'proxy', 'api', 'guard', 'doctor'] as const

export const importTable: readonly RoomRule[] = [
  room('src/std', 'what TypeScript forgot: assert, faults, units', { pure: true }),
  room('src/model', 'the words of the domain as types', { pure: true, rooms: ['std'] }),
  room('src/config', 'text to a validated config, or to a list of problems with positions', {
    pure: true,
    rooms: ['std', 'model'],
    packages: ['yaml'],
  }),
  room('src/raft', 'consensus: state and message to new state and effects', {
    pure: true,
    rooms: ['std', 'model'],
  }),
  room('src/wire', 'codec of the PostgreSQL protocol', { pure: true, rooms: ['std', 'model'] }),
  room('src/sql', 'is it a read, does it pin the session', { pure: true, rooms: ['std', 'model'] }),
  room('src/sql/grammar.ts', "PostgreSQL's own grammar, as WebAssembly", {
    rooms: ['std', 'model'],
    packages: ['libpg-query'],
  }),
  room('src/auth', 'SCRAM and friends as state machines', { pure: true, rooms: ['std', 'model'] }),
  room('src/platform', 'the only door to the operating system', {
    rooms: ['std'],
    packages: ['pino', 'prom-client'],
    touchesNode: true,
  }),
  room('src/store', 'where the state of the cluster lives', { rooms: ['std', 'model', 'platform', 'raft'] }),
  room('src/postgres', 'one local PostgreSQL: start, stop, promote, clone, ask', {
    rooms: ['std', 'model', 'platform', 'wire', 'auth'],
    packages: ['pg', 'tar-stream'],
  }),
  room('src/ha', 'observe, decide, act; owns the ports that it needs', {
    rooms: ['std', 'model', 'platform'],
  }),
  room('src/ha/decide', 'snapshot to decision', { pure: true, rooms: ['std', 'model'] }),
  room('src/ha/snapshot.ts', 'the facts that a decision is made from', {
    pure: true,
    rooms: ['std', 'model'],
  }),
  room('src/ha/decision.ts', 'what a decision says, as data', { pure: true, rooms: ['std', 'model'] }),
  room('src/ha/policy.ts', 'the limits that a decision keeps', { pure: true, rooms: ['std', 'model'] }),
  room('src/proxy', 'the router: data plane, never decides', {
    rooms: ['std', 'model', 'platform', 'wire', 'sql', 'auth'],
  }),
  room('src/api', 'REST', { rooms: ['std', 'model', 'platform'], packages: ['fastify'], speaksToApi: true }),
  room('src/guard', "the dead-man's switch of the database, a process of its own", {
    rooms: ['std', 'model', 'platform', 'postgres'],
  }),
  room('src/guard/guard-rule.ts', 'when the guard acts', { pure: true, rooms: ['std', 'model'] }),
  room('src/guard/watchdog-rule.ts', 'when a watchdog fits, and when it is kicked', {
    pure: true,
    rooms: ['std', 'model'],
  }),
  room('src/doctor', 'what can be wrong with a node and a cluster: facts to diagnoses', {
    rooms: ['std', 'model', 'platform'],
    speaksToApi: true,
  }),
  room('src/doctor/checks', 'one check a subject', {
    pure: true,
    rooms: ['std', 'model'],
    speaksToApi: true,
  }),
  room('src/doctor/diagnosis.ts', 'what a check is, and what it says', { pure: true, speaksToApi: true }),
  room('src/doctor/diagnose.ts', 'all checks', { pure: true, speaksToApi: true }),
  room('src/agent', 'builds a node from the parts and owns its lifecycle', {
    rooms: EVERYTHING_BUT_CLI,
    speaksToApi: true,
  }),
  room('src/cli', 'commands; speaks to agents through the API alone', {
    rooms: ['std', 'model', 'config', 'sql', 'platform', 'doctor'],
    packages: ['commander'],
    speaksToApi: true,
  }),
  room('src/program.ts', 'arguments to command, nothing else', {
    rooms: ['platform', 'agent', 'cli'],
  }),
  room('src/main.ts', 'says what Node is wanted, then loads the program', {
    rooms: ['platform', 'program'],
  }),
  room('client', 'the API contract and an HTTP client', {}),
  room('dashboard', 'what a browser shows of the cluster; asks its agent through the API alone', {
    packages: ['preact'],
    speaksToApi: true,
  }),
]

/** All rooms of `src/`: its direct folders. */
export const roomNames: readonly string[] = importTable
  .filter((rule) => /^src\/[a-z]+$/.test(rule.path))
  .map((rule) => rule.path.slice('src/'.length))

/** The rule of a file: the longest path of the table that it lies under; `undefined` for a folder that is no room. */
export function ruleOf(file: string): RoomRule | undefined {
  return importTable
    .filter((rule) => file === rule.path || file.startsWith(`${rule.path}/`))
    .toSorted((left, right) => right.path.length - left.path.length)[0]
}

/** The name of the room that a file lies in: `ha` for `src/ha/decide/stance.ts`. */
export function roomOf(file: string): string {
  const [top, second] = file.split('/')
  if (top !== 'src') return top ?? ''
  return (second ?? '').replace(/\.ts$/, '')
}
