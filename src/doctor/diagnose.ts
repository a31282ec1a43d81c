import type { Diagnosis, NodeFacts } from '#client'
import { access } from './checks/access.ts'
import { backups } from './checks/backups.ts'
import { certificates } from './checks/certificates.ts'
import { clocks } from './checks/clocks.ts'
import { connections } from './checks/connections.ts'
import { consensus } from './checks/consensus.ts'
import { diskFlush, diskSpace } from './checks/disks.ts'
import { fencing } from './checks/fencing.ts'
import { files } from './checks/files.ts'
import { instance } from './checks/instance.ts'
import { archiving, freeze, transactions } from './checks/maintenance.ts'
import { network } from './checks/network.ts'
import { pause } from './checks/pause.ts'
import { configuration, dataFolder, others, ports, programs, type PlanFacts } from './checks/plan.ts'
import { replicas } from './checks/replicas.ts'
import { inheritedSettings, restart, settings } from './checks/settings.ts'
import { slots } from './checks/slots.ts'
import { releases, runtime } from './checks/versions.ts'
import type { Check, ClusterFacts } from './diagnosis.ts'

/** What needs the facts of one node alone: its agent runs these. */
export const nodeChecks: readonly Check<NodeFacts>[] = [
  runtime,
  instance,
  settings,
  restart,
  access,
  slots,
  archiving,
  freeze,
  transactions,
  connections,
  diskSpace,
  diskFlush,
  files,
  certificates,
  fencing,
  network,
]

/** What is only seen when all are looked at together. */
export const clusterChecks: readonly Check<ClusterFacts>[] = [
  consensus,
  pause,
  replicas,
  releases,
  inheritedSettings,
  clocks,
  backups,
]

/** What is looked at of a configuration and its host, before there is an agent. */
export const planChecks: readonly Check<PlanFacts>[] = [configuration, ports, dataFolder, programs, others]

export function diagnosePlan(facts: PlanFacts): readonly Diagnosis[] {
  return diagnosed(planChecks, facts)
}

/** Of a configuration alone: where an agent runs, it tells the rest. */
export function diagnoseConfiguration(problems: PlanFacts['problems']): readonly Diagnosis[] {
  return diagnosed([configuration], { ports: [], peers: [], problems })
}

export function diagnoseNode(facts: NodeFacts): readonly Diagnosis[] {
  return diagnosed(nodeChecks, facts).map((one) => ({ ...one, member: facts.node }))
}

export function diagnoseCluster(facts: ClusterFacts): readonly Diagnosis[] {
  return diagnosed(clusterChecks, facts)
}

function diagnosed<Facts>(checks: readonly Check<Facts>[], facts: Facts): readonly Diagnosis[] {
  return checks.flatMap(({ name, judge }) => judge(facts).map((found) => ({ check: name, ...found })))
}
