import type { DemoPicture } from './supervisor.ts'

/** How the demo shows itself. */
export interface Face {
  /** Pause between two looks once the cluster is healthy. */
  readonly lookMs: number
  /** How long the first start may take. */
  readonly patienceMs: number
  open(): void
  show(picture: DemoPicture): void
  stopping(): void
  close(): void
}
