import { describe, expect, it } from 'vitest'
import type { JobKind } from '../../ha/snapshot.ts'
import type { InstanceState, Role } from '../../model/member.ts'
import { callAfter, type Glance, type Told } from './callback-rule.ts'

/** `running primary 1`, with `+ restart` behind it while that job works. */
function glanceOf(text: string): Glance {
  const [seen = '', job] = text.split(' + ')
  const [state, role, life] = seen.split(' ')
  return {
    instance: {
      state: state as InstanceState,
      ...(role === undefined ? {} : { role: role as Role }),
      ...(life === undefined ? {} : { startedAt: life, postmasterPid: 1 }),
    },
    job: job as JobKind | undefined,
  }
}

function calls(...story: readonly string[]): readonly string[] {
  let told: Told = {}
  return story.flatMap((text) => {
    const next = callAfter(told, glanceOf(text))
    told = next.told
    return next.call ? [`${next.call.action} ${next.call.role}`] : []
  })
}

describe('who is called', () => {
  it('hears of a start once, whether this agent did it or found it', () => {
    expect(calls('absent', 'cloning', 'starting', 'running standby 1', 'running standby 1')).toEqual([
      'on_start standby',
    ])
    expect(calls('running primary 1')).toEqual(['on_start primary'])
  })

  it('hears of a promotion', () => {
    expect(calls('running standby 1', 'running primary 1')).toEqual([
      'on_start standby',
      'on_role_change primary',
    ])
  })

  it('hears of a primary that becomes a standby as stopped, then as another role, never as started', () => {
    expect(
      calls(
        'running primary 1',
        'stopping primary + hand-over',
        'stopped + hand-over',
        'starting',
        'running standby 2',
      ),
    ).toEqual(['on_start primary', 'on_stop primary', 'on_role_change standby'])
  })

  it('hears of one that crashed as stopped, and of its start in place', () => {
    expect(calls('running primary 1', 'crashed', 'starting', 'running primary 2')).toEqual([
      'on_start primary',
      'on_stop primary',
      'on_start primary',
    ])
  })

  it('hears of a start that nobody saw the stop before', () => {
    expect(calls('running standby 1', 'running standby 2')).toEqual(['on_start standby', 'on_start standby'])
  })

  it('hears of a restart that was ordered as one', () => {
    expect(
      calls(
        'running standby 1',
        'running standby 1 + restart',
        'stopped + restart',
        'starting + restart',
        'running standby 2',
        'running standby 2',
      ),
    ).toEqual(['on_start standby', 'on_restart standby'])
  })

  it('hears of a stop where a restart did not bring it up', () => {
    expect(
      calls('running standby 1', 'stopped + restart', 'stopped', 'stopped', 'starting', 'running standby 2'),
    ).toEqual(['on_start standby', 'on_stop standby', 'on_start standby'])
  })

  it('hears of no restart that was not begun', () => {
    expect(
      calls('running standby 1', 'running standby 1 + restart', 'running standby 1', 'running standby 2'),
    ).toEqual(['on_start standby', 'on_start standby'])
  })

  it('hears nothing while PostgreSQL does not answer, and nothing of one that never ran', () => {
    expect(calls('running primary 1', 'unknown', 'running primary 1')).toEqual(['on_start primary'])
    expect(calls('stopped', 'crashed', 'absent')).toEqual([])
  })
})
