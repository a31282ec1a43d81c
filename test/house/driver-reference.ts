import {
  behaviours,
  DRIVERS,
  outcomeOf,
  PLACES,
  placeTitles,
  type Behaviour,
  type Outcome,
  type PlaceName,
} from '../conformance/drivers/behaviours.ts'

/** `docs/reference/drivers.md`: the table that `test/conformance/drivers` holds, for those who choose a port and a pool mode. */
export function driverReference(): string {
  const notes: string[] = []
  const rows = behaviours.map((behaviour) => {
    const cells = PLACES.map((place) => cellOf(behaviour, place, notes))
    return `| ${behaviour.name}: ${behaviour.promise} | ${cells.join(' | ')} |`
  })
  return [
    '# Drivers',
    '',
    '<!-- Generated from test/conformance/drivers/behaviours.ts by `npm run docs`. Do not edit. -->',
    '',
    `What ${DRIVERS.slice(0, -1).join(', ')} and ${DRIVERS.at(-1)} do through the router, each on each port, and on the pooled`,
    'port in each `pool.pool_mode`. Every cell is a test with the real driver, a PostgreSQL and a standby (5434 leads to the standby).',
    'All passwords are checked by SCRAM. `yes`: all drivers do; a number leads to what holds instead.',
    '',
    `| behaviour | ${PLACES.map((place) => placeTitles[place]).join(' | ')} |`,
    `|---|${'---|'.repeat(PLACES.length)}`,
    ...rows,
    '',
    ...notes.map((note, index) => `${index + 1}. ${note}`),
    '',
  ].join('\n')
}

function cellOf(behaviour: Behaviour, place: PlaceName, notes: string[]): string {
  const outcomes = DRIVERS.map((driver) => ({ driver, outcome: outcomeOf(behaviour, driver, place) }))
  const usual = outcomeOf({ ...behaviour, drivers: {} }, DRIVERS[0], place)
  const others = outcomes.filter(({ outcome }) => textOf(outcome) !== textOf(usual))
  const texts = [...new Set(others.map(({ outcome }) => textOf(outcome)))]
  const marks = texts.map((text) => {
    const names = others.filter(({ outcome }) => textOf(outcome) === text).map(({ driver }) => driver)
    return mark(`${names.join(', ')}: ${text}`, notes)
  })
  if (usual.kind === 'value') return ['yes', ...marks].join(' ')
  if (others.length === DRIVERS.length) return marks.join(' ')
  return [`${wordOf(usual)} ${mark(textOf(usual), notes)}`, ...marks].join(' ')
}

function mark(note: string, notes: string[]): string {
  const known = notes.indexOf(note)
  return `(${known >= 0 ? known + 1 : notes.push(note)})`
}

function wordOf(outcome: Outcome): 'no' | 'otherwise' {
  return outcome.kind === 'limit' || outcome.kind === 'absent' ? 'otherwise' : 'no'
}

function textOf(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'value':
      return 'yes'
    case 'limit':
    case 'fails':
    case 'refused':
      return outcome.promise
    case 'absent':
      return outcome.reason
  }
}
