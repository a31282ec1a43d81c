import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { describeConfig } from './describe-config.ts'
import { loadConfig } from './load-config.ts'

const SECRET = 'Xq7/never+shown/Xq7'
const LINES = `identity: {node_name: node1, api_port: 8008}
local_db:
  password: "${SECRET}"
  role: primary
cluster_members:
  - {node_name: node2, api_host: 10.77.0.2}
  - node_name: node3
    api_host: 10.77.0.3
coordination:
  cluster_mode: {heartbeat_interval: 100ms}
security: {api_token: ${SECRET}, cluster_secret: '${SECRET}'}
bootstrap:
  users: {app: {password: ${SECRET}}}
postgresql: {data_dir: data, parameters: {work_mem: 16MB}}
`.split('\n')

/** One line of the file is bent: something inserted, cut out, doubled, or shifted. */
const bentLine = fc.tuple(
  fc.nat(LINES.length - 1),
  fc.nat(60),
  fc.constantFrom(
    '',
    ':',
    '"',
    "'",
    '[',
    '{',
    '}',
    '- ',
    '\t',
    '&a ',
    '*a',
    '!t ',
    '|',
    '>',
    '#',
    '%',
    '@',
    '\n',
    ' x: ',
    '__proto__: ',
  ),
  fc.nat(8),
)

describe('a file that is bent in any way', () => {
  it('never throws, never shows a secret, and what is refused says why', () => {
    fc.assert(
      fc.property(fc.array(bentLine, { minLength: 1, maxLength: 4 }), (bends) => {
        const lines = [...LINES]
        for (const [at, column, insert, cut] of bends) {
          const line = lines[at] ?? ''
          lines[at] = line.slice(0, column) + insert + line.slice(column + cut)
        }
        const text = lines.join('\n')
        const loaded = loadConfig({
          path: 'main.yaml',
          readText: (path) => (path === 'main.yaml' ? text : undefined),
          env: {},
        })
        const told = loaded.kind === 'ok' ? loaded.warnings : loaded.problems
        if (loaded.kind === 'refused') expect(told.some(({ severity }) => severity === 'error')).toBe(true)
        for (const problem of told) {
          expect(problem.rule).toBeTypeOf('string')
          expect(problem.line).toBeLessThanOrEqual(text.split('\n').length)
        }
        const shown = describeConfig(loaded) + JSON.stringify(told)
        expect(shown).not.toContain('never+shown')
      }),
      { numRuns: 400 },
    )
  })
})
