import { expect, it } from 'vitest'
import { refusalOf } from './refusal.ts'

/** Answers of etcd 3.4.23, and what each proves about the request. */
const answers = [
  [503, 'etcdserver: no leader', 'elsewhere'],
  [429, 'etcdserver: too many requests', 'elsewhere'],
  [401, 'etcdserver: invalid auth token', 'token'],
  [400, 'etcdserver: revision of auth store is old', 'token'],
  [400, 'etcdserver: user name is empty', 'token'],
  [403, 'etcdserver: permission denied', 'denied'],
  [400, 'etcdserver: authentication failed, invalid user ID or password', 'denied'],
  [400, 'etcdserver: request is too large', 'too-large'],
  // It is proposed already, or applied: the member that finds the quota exceeded first has applied it.
  [503, 'etcdserver: request timed out', 'unknown'],
  [503, 'etcdserver: request timed out, possibly due to previous leader failure', 'unknown'],
  [429, 'etcdserver: mvcc: database space exceeded', 'unknown'],
  [503, 'etcdserver: server stopped', 'unknown'],
  [503, 'transport is closing', 'unknown'],
] as const

it.each(answers)('takes %i "%s" for %s', (status, message, kind) => {
  expect(refusalOf(status, JSON.stringify({ error: message, message, code: 14 }))).toEqual({ kind, message })
})

it('knows an etcd that is too old, and takes anything else that it cannot read for unknown', () => {
  expect(refusalOf(404, '404 page not found')).toMatchObject({
    kind: 'elsewhere',
    message: expect.stringContaining('3.4 or later'),
  })
  for (const body of ['', '<html>', 'null', '[]', '{"error":5}']) {
    expect(refusalOf(502, body)).toMatchObject({ kind: 'unknown', message: 'HTTP 502' })
  }
})
