import { describe, expect, it } from 'vitest'
import { scheduleTime } from './schedule-time.ts'

const now = Date.parse('2026-05-04T00:00:00Z')
const of = (text: unknown) => scheduleTime(text, { action: 'restart', now })

describe('the time of an order for later', () => {
  it.each([
    ['2026-05-04T03:02:01.5+02:00', '2026-05-04T03:02:01.5+02:00'],
    ['2026-05-04T03:02:01Z', '2026-05-04T03:02:01+00:00'],
    ['2026-05-04 03:02+00', '2026-05-04T03:02:00+00:00'],
    ['2026-05-04T03:02-0330', '2026-05-04T03:02:00-03:30'],
  ])('%s is %s', (text, at) => expect(of(text)).toEqual({ at }))

  it.each([
    ['2026-05-04T03:02', 400, 'Timezone information is mandatory for the scheduled restart'],
    ['2026-05-03T23:59Z', 422, 'Cannot schedule restart in the past'],
    ['2026-13-04T03:02Z', 422, 'Unable to parse scheduled timestamp'],
    ['2026-05-04T03:02+99:99', 422, 'Unable to parse scheduled timestamp'],
    ['tomorrow', 422, 'Unable to parse scheduled timestamp'],
    [17, 422, 'Unable to parse scheduled timestamp'],
    [null, 422, 'Unable to parse scheduled timestamp'],
  ])('%s is refused: %i %s', (text, status, why) =>
    expect(of(text)).toMatchObject({ status, text: expect.stringContaining(why) as string }),
  )
})
