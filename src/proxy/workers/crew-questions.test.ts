import { beforeEach, describe, expect, it } from 'vitest'
import { CrewQuestions } from './crew-questions.ts'
import type { ToWorker } from './worker-messages.ts'

type Asked = Extract<ToWorker, { kind: 'asked' }>

describe('CrewQuestions', () => {
  let asked: { readonly worker: number; readonly message: Asked }[]
  let questions: CrewQuestions
  let done: { readonly answers: readonly unknown[]; readonly missing: number }[]

  beforeEach(() => {
    asked = []
    done = []
    questions = new CrewQuestions((worker, message) => void asked.push({ worker, message: message as Asked }))
  })

  const noteDone = (answers: readonly unknown[], missing: number): void =>
    void done.push({ answers, missing })
  function order(command: 'PAUSE' | 'RESUME' | 'KILL' | 'DISABLE', answer: unknown, database = 'app'): void {
    questions.ask({ kind: 'order', command, database }, [0], noteDone)
    questions.answered(0, asked.at(-1)?.message.id ?? 0, answer)
  }
  /** What a worker that begins now is told. */
  function toldToNext(): readonly string[] {
    const before = asked.length
    questions.catchUp(9)
    return asked.slice(before).map(({ message: { request } }) => JSON.stringify(request))
  }

  it('is done when all have answered, and not before', () => {
    questions.ask({ kind: 'reload' }, [0, 1], noteDone)
    questions.answered(1, 1, null)
    questions.answered(1, 1, null)
    expect(done).toEqual([])
    questions.answered(0, 1, 'no')
    expect(done).toEqual([{ answers: [null, 'no'], missing: 0 }])
  })

  it('waits for nobody who has ended, and is done at once where there is nobody', () => {
    questions.ask({ kind: 'reload' }, [0, 1], noteDone)
    questions.answered(1, 1, null)
    questions.forget(0)
    questions.ask({ kind: 'reload' }, [], noteDone)
    expect(done).toEqual([
      { answers: [null], missing: 0 },
      { answers: [], missing: 0 },
    ])
  })

  it('tells who begins later what people have said, and what is being said', () => {
    order('PAUSE', null)
    order('DISABLE', null, 'other')
    order('PAUSE', 'already suspended/paused', 'refused')
    questions.ask({ kind: 'order', command: 'PAUSE', database: 'third' }, [0], noteDone)
    expect(toldToNext()).toEqual([
      '{"kind":"order","command":"PAUSE","database":"app"}',
      '{"kind":"order","command":"DISABLE","database":"other"}',
      '{"kind":"order","command":"PAUSE","database":"third"}',
    ])
  })

  it('takes a KILL for a pause, and a RESUME for its end', () => {
    order('KILL', null)
    expect(toldToNext()).toEqual(['{"kind":"order","command":"PAUSE","database":"app"}'])
    order('RESUME', null)
    expect(toldToNext()).toEqual([])
  })
})
