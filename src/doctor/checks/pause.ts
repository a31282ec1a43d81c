import { ok, warning, type Check, type ClusterFacts } from '../diagnosis.ts'

export const pause: Check<ClusterFacts> = {
  name: 'pause',
  about: 'the cluster is not paused',
  judge: ({ view }) => [
    view.paused
      ? warning(
          'PAUSED',
          'the cluster is paused: nobody takes over from a primary that is lost, and what stops stays down',
          'When the work is done: pg-metako resume',
        )
      : ok('NOT_PAUSED', 'the cluster acts by itself'),
  ],
}
