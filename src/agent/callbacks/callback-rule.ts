import type { JobKind } from '../../ha/snapshot.ts'
import type { CallbackAction } from '../../model/callback.ts'
import { lifeOf, type InstanceFacts, type InstanceState, type Role } from '../../model/member.ts'

/** What is seen of the own instance: nothing else is known to who is called. */
export type Glance = {
  readonly instance: Pick<InstanceFacts, 'state' | 'role' | 'startedAt' | 'postmasterPid'>
  readonly job: JobKind | undefined
}

/** What was told last. */
export type Told = {
  readonly role?: Role
  /** Of the life that was told of; absent while it is known to be down. */
  readonly life?: string
  /** Somebody ordered a restart of that life, and it is not over. */
  readonly isRestarting?: true
}

export type Call = { readonly action: CallbackAction; readonly role: Role }

/** Nothing runs there that anybody could be connected to. */
const DOWN: ReadonlySet<InstanceState> = new Set([
  'absent',
  'initialising',
  'cloning',
  'rewinding',
  'stopped',
  'crashed',
])

/**
 * What has to be called when this is seen after that, in Patroni's order: a primary that becomes a standby is told of as stopped, then as
 * another role. One that is found running is told of as started, so that whoever is called knows where things are after an agent's restart.
 */
export function callAfter(
  told: Told,
  { instance, job }: Glance,
): { readonly told: Told; readonly call?: Call } {
  const { state, role } = instance
  const isRestarting = job === 'restart' || told.isRestarting === true
  if (state === 'running') {
    const life = lifeOf(instance)
    if (role === undefined || life === undefined) return { told }
    const now: Told = {
      role,
      life,
      ...(job === 'restart' && life === told.life ? { isRestarting: true } : {}),
    }
    if (told.role !== undefined && told.role !== role)
      return { told: now, call: { action: 'on_role_change', role } }
    if (life === told.life) return { told: now }
    const action = told.life !== undefined && isRestarting ? 'on_restart' : 'on_start'
    return { told: now, call: { action, role } }
  }
  if (told.role === undefined || told.life === undefined) return { told }
  if (job === 'restart') return { told: { ...told, isRestarting: true } }
  if (!DOWN.has(state)) return { told }
  return { told: { role: told.role }, call: { action: 'on_stop', role: told.role } }
}
