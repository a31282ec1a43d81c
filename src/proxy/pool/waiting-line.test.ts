import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { WaitingLine, type Waiter } from './waiting-line.ts'

type Person = Waiter & { readonly id: number }
const person = (id: number): Person => ({ id, place: undefined })

describe('a line of those who wait', () => {
  it('serves as a set does whose first is always taken, whoever leaves in between', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.constant('SHIFT' as const),
            fc.nat(300),
            fc.nat(300).map((id) => -id - 1),
          ),
          {
            maxLength: 1500,
          },
        ),
        (steps) => {
          const people = Array.from({ length: 301 }, (_, id) => person(id))
          const line = new WaitingLine<Person>()
          const model = new Set<Person>()
          for (const step of steps) {
            if (step === 'SHIFT') {
              const [wanted] = model
              if (wanted) model.delete(wanted)
              expect(line.shift()).toBe(wanted)
            } else if (step < 0) {
              const one = people[-step - 1] as Person
              line.delete(one)
              model.delete(one)
            } else {
              const one = people[step] as Person
              line.add(one)
              model.add(one)
            }
            expect(line.size).toBe(model.size)
            expect(line.first).toBe([...model][0])
          }
        },
      ),
    )
  })

  it('is not another line: whoever stands there stays there', () => {
    const [here, there] = [new WaitingLine<Person>(), new WaitingLine<Person>()]
    const [one, other] = [person(1), person(2)]
    here.add(one)
    there.add(other)
    here.delete(other)
    expect([here.size, there.size, here.first, there.first]).toEqual([1, 1, one, other])
  })

  it('gives out those who stand in it, not who comes meanwhile or has left', () => {
    const line = new WaitingLine<Person>()
    const [first, second, third] = [person(1), person(2), person(3)]
    for (const one of [first, second, third]) line.add(one)
    const seen: number[] = []
    for (const one of line.takeAll()) {
      seen.push(one.id)
      line.delete(second)
      if (one === first) line.add(first)
    }
    expect(seen).toEqual([1, 3])
    expect([line.size, line.first]).toEqual([1, first])
  })
})
