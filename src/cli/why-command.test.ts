import { afterEach, beforeEach, expect, it } from 'vitest'
import type { WhyDocument } from '#client'
import { runWords, serveApi, type Outcome } from '../../test/support/command-line.ts'
import { FakeOperations } from '../../test/support/fake-operations.ts'
import type { FakeWorld } from '../../test/support/fake-world.ts'
import { sampleMember, sampleView } from '../../test/support/sample-view.ts'
import type { ApiServer } from '../api/server.ts'

let servers: ApiServer[] = []
let operations: readonly FakeOperations[] = []
let urls: string[] = []

const doing = (name: string, sentence: string, isWell = true) => ({
  name,
  answers: [{ question: 'DOING' as const, isWell, reason: 'X', sentence }],
})

/** n1 and n2 answer, n3 has nobody at its address; n2 is the one that is asked for the others. */
beforeEach(async () => {
  const failover = (sentence: string): WhyDocument['cluster'] => [
    { question: 'FAILOVER', isWell: true, reason: 'X', sentence },
  ]
  const documents: readonly Partial<WhyDocument>[] = [
    { self: 'n1', cluster: failover('says n1'), members: [doing('n1', 'n1 of itself')] },
    {
      self: 'n2',
      cluster: failover('says n2'),
      members: [doing('n1', 'n2 of n1'), doing('n2', 'n2 of itself'), doing('n3', 'n2 of n3', false)],
    },
  ]
  operations = documents.map(() => new FakeOperations(sampleView()))
  for (const [index, document] of documents.entries()) {
    const one = operations[index]!
    one.whyDocument = { ...one.whyDocument, ...document }
    const { server, url } = await serveApi(one, 'token')
    servers.push(server)
    urls.push(url)
  }
  const addresses = [...urls, 'http://127.0.0.1:1']
  for (const [index, one] of operations.entries())
    one.current = sampleView({
      self: `n${index + 1}`,
      members: addresses.map((apiUrl, at) =>
        sampleMember(`n${at + 1}`, {
          facts: { apiUrl },
          instance: { role: at === 0 ? 'primary' : 'standby' },
        }),
      ),
    })
})

afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop()))
  servers = []
  urls = []
})

function why(words: string, options: ConstructorParameters<typeof FakeWorld>[0] = {}): Promise<Outcome> {
  return runWords(['why', ...words.split(' ').filter(Boolean), '--url', urls[1] ?? ''], options)
}

it('lets each member speak for itself, the primary for the cluster, and another for who is silent', async () => {
  const { code, out } = await why('')
  expect(code).toBe(0)
  expect(out).toBe(`cluster main: epoch 2 of n1 (open)
Why is there no failover?
  says n1
What is each member doing?
  n1: n1 of itself
  n2: n2 of itself
! n3: n2 of n3
no answer from n3: Cannot reach http://127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1
`)
})

it('tells everything about one member, and whose word it is', async () => {
  expect((await why('n3')).out).toContain('! Now: n2 of n3\n')
  const { out } = await why('n3 --format json')
  expect(JSON.parse(out)).toMatchObject({
    cluster: 'main',
    answers: [{ member: 'n3', by: 'n2', question: 'DOING', isWell: false, sentence: 'n2 of n3' }],
  })
  expect((await why('n2 --format tsv')).out).toBe(
    'member\tquestion\twell\treason\tby\tsentence\nn2\tDOING\ttrue\tX\tn2\tn2 of itself\n',
  )
  expect((await why('n2 --format yaml')).out).toContain('sentence: "n2 of itself"')
})

it('asks the agent that sees a majority where the primary does not answer', async () => {
  await servers[0]?.stop()
  expect((await why('')).out).toContain('Why is there no failover?\n  says n2\n')
})

it('says so where two members each think that they would go first', async () => {
  for (const [index, one] of operations.entries()) {
    const name = `n${index + 1}`
    const taking = {
      question: 'IF_LOST' as const,
      isWell: true,
      reason: 'TAKES_OVER',
      sentence: 'takes epoch 3',
    }
    one.whyDocument = { ...one.whyDocument, members: [{ name, answers: [taking] }] }
  }
  expect((await why('')).out).toContain(`
  n1: takes epoch 3
  n2: takes epoch 3
  one of n1 and n2: they are as good as far as is known now, and who has more WAL by then goes first
`)
})

it('knows the members by name', async () => {
  const { code, err } = await why('n33')
  expect([code, err]).toEqual([
    1,
    'pg-metako: Cannot explain a member: there is no member "n33", the members are n1, n2, n3\nhint: Did you mean n3?\n',
  ])
})

it('folds its sentences at the edge of a terminal, below where they begin', async () => {
  const { out } = await why('n3', { terminal: true, columns: 24, env: { NO_COLOR: '1' } })
  expect(out).toContain('! Now: n2 of n3\n')
  expect(out).toContain('\nno answer from n3:\nCannot reach\n')
})
