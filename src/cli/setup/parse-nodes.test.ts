import { describe, expect, it } from 'vitest'
import { CommandFailure } from '../command-failure.ts'
import { parseNodes } from './parse-nodes.ts'

describe('parseNodes', () => {
  it('reads names with addresses, ports and IPv6, and takes a name alone for its host', () => {
    expect(parseNodes('n1=10.0.0.1, n2=db2.example:8010,n3')).toEqual([
      { name: 'n1', host: '10.0.0.1', port: 8008 },
      { name: 'n2', host: 'db2.example', port: 8010 },
      { name: 'n3', host: 'n3', port: 8008 },
    ])
    expect(
      parseNodes('a=[fd00::1]:8010,b=fd00::2,c=[fd00::3]').map(({ host, port }) => [host, port]),
    ).toEqual([
      ['fd00::1', 8010],
      ['fd00::2', 8008],
      ['fd00::3', 8008],
    ])
  })

  it('takes two nodes with a witness, which is the last of them', () => {
    expect(parseNodes('n1=10.0.0.1,n2=10.0.0.2', 'w=10.0.0.3:8010')).toEqual([
      { name: 'n1', host: '10.0.0.1', port: 8008 },
      { name: 'n2', host: '10.0.0.2', port: 8008 },
      { name: 'w', host: '10.0.0.3', port: 8010, isWitness: true },
    ])
    expect(() => parseNodes('n1=10.0.0.1', 'w=10.0.0.3')).toThrow('two nodes')
  })

  it.each([
    ['', 'empty'],
    ['n1=10.0.0.1,n2=10.0.0.2', 'two nodes'],
    ['n1=10.0.0.1,n1=10.0.0.2,n3', 'name "n1"'],
    ['n1=10.0.0.1,n2=10.0.0.1,n3', 'address "10.0.0.1:8008"'],
    ['n1=,n2,n3', '"n1="'],
    ['n1=h:99999,n2,n3', '"n1=h:99999"'],
    ['n1=x:y:z,n2,n3', 'NAME=ADDRESS'],
  ])('refuses %o and says what is wrong', (text, what) => {
    expect(() => parseNodes(text)).toThrow(CommandFailure)
    expect(() => parseNodes(text)).toThrow(what)
  })
})
