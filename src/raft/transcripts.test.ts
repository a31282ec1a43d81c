import { newRaftRunner } from '../../test/support/raft-transcript.ts'
import { describeTranscripts } from '../../test/support/transcript.ts'

describeTranscripts('raft', new URL('./transcripts/', import.meta.url), newRaftRunner)
