import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { errorCodes } from '../src/model/error-code.ts'
import { importTableText, mermaidGraph, unmappedRooms, withSection } from './house/documents.ts'
import { faultCodeViolations } from './house/fault-codes.ts'
import { importTable, roomOf } from './house/import-table.ts'
import { cycles, forbiddenImports, importsOf, orphans, roomArrows } from './house/imports.ts'
import { badTestHabits, forbiddenShapes, longFiles, silentRooms } from './house/shapes.ts'
import { asLines, isTypeScript, plantedTree, readTree, repositoryRoot } from './house/source-tree.ts'
import { emptyNames, foreignWords, looseEnds, unusedBorders, wordRules } from './house/words.ts'

/** `store/memory` is the store of tests and of the simulator. */
/** Only tests reach these; the store on etcd until the configuration can name one. */
const FOR_TESTS = ['src/store/memory/', 'src/store/etcd/', 'src/platform/http-connections.ts']
const ENTRIES = ['src/main.ts', 'client/index.ts', 'dashboard/main.tsx']
const tree = readTree((path) => isTypeScript(path) || path.endsWith('.mjs'))
const paths = [...tree.keys()]

/** Each rule twice: the tree keeps it, and a planted violation is seen (a checker that checks nothing is worse than none). */
describe('the house', () => {
  it('draws only the arrows that the import table allows', () => {
    expect(asLines(forbiddenImports(tree))).toEqual([])
  })

  it('sees a forbidden arrow in whatever form it is written', () => {
    const forms = [
      "import { x } from '../ha/loop.ts'",
      "import type { X } from '../ha/loop.ts'",
      "export { x } from '../ha/loop.ts'",
      "const x = () => import('../ha/loop.ts')",
      "type X = import('../ha/loop.ts').X",
      "import '../ha/loop.ts'",
      "import {\n  x,\n  y,\n} from '../ha/loop.ts'",
      "import { readFileSync } from 'node:fs'",
      "import pg from 'pg'",
      "import { parse } from 'yaml/sub.js'",
      "import { API_VERSION } from '#client'",
      "import { x } from '../../client/index.ts'",
      "import { x } from '../../test/support/x.ts'",
      "import { x } from '../std/x.js'",
    ]
    for (const form of forms) {
      const planted = plantedTree({ 'src/raft/step.ts': `${form}\n`, 'src/ha/loop.ts': '' })
      expect(asLines(forbiddenImports(planted)), form).toHaveLength(1)
    }
    const allowed =
      "import { assert } from '../std/assert.ts'\n// import { x } from 'pg'\nconst y = \"import 'pg'\"\n"
    expect(asLines(forbiddenImports(plantedTree({ 'src/raft/step.ts': allowed })))).toEqual([])
  })

  it('keeps the pure part of a room away from the rest of it', () => {
    const planted = plantedTree({ 'src/ha/decide/stance.ts': "import { loop } from '../loop.ts'\n" })
    expect(asLines(forbiddenImports(planted))).toHaveLength(1)
  })

  it('keeps the code of browsers away from that of agents, in JSX too', () => {
    const planted = (text: string) => plantedTree({ 'dashboard/x.tsx': text, 'src/std/y.ts': '' })
    for (const form of [
      "import { y } from '../src/std/y.ts'",
      "import { readFileSync } from 'node:fs'",
      "import pg from 'pg'",
    ])
      expect(asLines(forbiddenImports(planted(form))), form).toHaveLength(1)
    expect(asLines(forbiddenImports(planted("import { useState } from 'preact/hooks'")))).toEqual([])
    expect(asLines(foreignWords(planted('const newLeader = <b>1</b>')))).toHaveLength(1)
  })

  it('knows every folder under src as a room', () => {
    expect(asLines(forbiddenImports(plantedTree({ 'src/stuff/x.ts': '' })))).toHaveLength(1)
  })

  it('has a table without a circle', () => {
    const arrows = new Map(importTable.map((rule) => [roomOf(rule.path), rule.rooms]))
    const reaches = (from: string, to: string): boolean =>
      (arrows.get(from) ?? []).some((next) => next === to || reaches(next, to))
    expect([...arrows.keys()].filter((room) => reaches(room, room))).toEqual([])
  })

  it('has no import cycle between files', () => {
    expect(asLines(cycles(tree))).toEqual([])
    const planted = plantedTree({
      'src/raft/a.ts': "import './b.ts'",
      'src/raft/b.ts': "import './c.ts'",
      'src/raft/c.ts': "import type { A } from './a.ts'",
    })
    expect(asLines(cycles(planted))).toHaveLength(1)
  })

  it('has no file that nothing reaches', () => {
    expect(asLines(orphans(tree, ENTRIES, FOR_TESTS))).toEqual([])
    const planted = plantedTree({ 'src/main.ts': "import './a.ts'", 'src/a.ts': '', 'src/b.ts': '' })
    expect(asLines(orphans(planted, ['src/main.ts']))).toHaveLength(1)
    expect(asLines(orphans(planted, ['src/main.ts'], ['src/b']))).toEqual([])
  })

  it('says one word for one thing, each in its own world', () => {
    expect(asLines(foreignWords(tree))).toEqual([])
    for (const text of [
      'const newLeaderId = 1',
      '// the term of the lease',
      "say('LEADER_GONE')",
      'const slave = 1',
    ]) {
      expect(asLines(foreignWords(plantedTree({ 'src/ha/x.ts': text }))), text).toHaveLength(1)
    }
    expect(asLines(foreignWords(plantedTree({ 'src/raft/x.ts': 'leader, term' })))).toEqual([])
    expect(asLines(foreignWords(plantedTree({ 'src/ha/x.ts': '// the Raft term' })))).toEqual([])
    expect(asLines(foreignWords(plantedTree({ 'src/ha/x.ts': 'terminate, determine, midterms' })))).toEqual(
      [],
    )
  })

  it('keeps no border open that nobody crosses', () => {
    const planted = [
      { ...wordRules[0], words: ['leader'], except: { 'src/raft/': 'is Raft' } },
    ] as typeof wordRules
    expect(unusedBorders(plantedTree({ 'src/raft/x.ts': 'follower' }), planted)).toEqual(['src/raft/'])
    expect(unusedBorders(tree)).toEqual([])
  })

  it('names files after what they hold', () => {
    expect(asLines(emptyNames(paths))).toEqual([])
    const bad = [
      'src/ha/utils.ts',
      'src/ha/lease-manager.ts',
      'src/ha/common/x.ts',
      'src/ha/LeaseKeeper.ts',
      'src/api/handler.ts',
    ]
    for (const path of bad) expect(asLines(emptyNames([path])), path).toHaveLength(1)
    expect(asLines(emptyNames(['src/proxy/cancel-handler.ts', 'src/model/lsn.prop.test.ts']))).toEqual([])
  })

  it('has no loose ends in its comments', () => {
    expect(asLines(looseEnds(tree))).toEqual([])
    const bad = [
      `// ${'TODO'}: later`,
      `/* ${'FIXME'} */`,
      '// oxlint-disable-next-line max-params',
      '// @ts-ignore',
      '// const old = compute(1);',
    ]
    for (const comment of bad) {
      expect(
        asLines(looseEnds(plantedTree({ 'src/ha/x.ts': `${comment}\nexport {}` }))),
        comment,
      ).toHaveLength(1)
    }
    const fine = '// oxlint-disable-next-line max-params -- the signature is that of the driver\n'
    expect(asLines(looseEnds(plantedTree({ 'src/ha/x.ts': fine })))).toEqual([])
  })

  it('keeps files short enough for one head', () => {
    expect(asLines(longFiles(tree))).toEqual([])
    expect(asLines(longFiles(plantedTree({ 'src/ha/x.ts': 'x\n'.repeat(501) })))).toHaveLength(1)
    expect(asLines(longFiles(plantedTree({ 'src/ha/x.ts': 'x\n'.repeat(500) })))).toEqual([])
  })

  it('keeps away from constructs that need more than erasing', () => {
    expect(asLines(forbiddenShapes(tree))).toEqual([])
    const bad = [
      'export default 1',
      'export enum Role { A }',
      'interface IThing {}',
      "export * from './x.ts'",
      '@sealed\nclass A {}',
    ]
    for (const text of bad) {
      expect(asLines(forbiddenShapes(plantedTree({ 'src/ha/x.ts': text }))), text).toHaveLength(1)
    }
  })

  it('writes tests that neither sleep nor patch modules', () => {
    expect(asLines(badTestHabits(tree))).toEqual([])
    const bad = [
      "vi.mock('./x.ts')",
      "it.only('x', () => {})",
      'await pause(100)',
      'await new Promise((resolve) => setTimeout(resolve, 50))',
    ]
    for (const text of bad) {
      expect(asLines(badTestHabits(plantedTree({ 'src/ha/x.test.ts': text }))), text).toHaveLength(1)
    }
  })

  it('says at the door of every room what the room is for', () => {
    expect(silentRooms(tree)).toEqual([])
    expect(silentRooms(plantedTree({ 'src/ha/x.ts': '/** A thing. */\nexport {}' }))).toEqual(['src/ha'])
    const door = '/*\n * This room decides.\n * It never reads a clock.\n */\nexport {}'
    expect(silentRooms(plantedTree({ 'src/ha/x.ts': door }))).toEqual([])
  })

  it('describes every code of a fault, and no other', () => {
    expect(asLines(faultCodeViolations(tree, errorCodes))).toEqual([])
    const described = { A_B: { meaning: 'Something broke here.', remedy: 'Mend it at once.' } }
    const raising = (text: string) => faultCodeViolations(plantedTree({ 'src/ha/x.ts': text }), described)
    expect(asLines(raising("throw new Fault('A_B', 'x')"))).toEqual([])
    expect(asLines(raising("throw new Fault('A_B', 'x'); throw new Fault(\n  'C_D',\n  'x')"))).toHaveLength(
      1,
    )
    expect(asLines(raising("throw new Fault('A_B', ''); throw new Fault(code, 'x')"))).toHaveLength(1)
    expect(asLines(raising(''))).toHaveLength(1)
    const answer = plantedTree({ 'src/api/x.ts': "refuse({ code: 'A_B' }); refuse({ code: 'E_F' })" })
    expect(asLines(faultCodeViolations(answer, described))).toHaveLength(1)
    const curt = { A_B: { meaning: 'Broken', remedy: '' } }
    expect(
      asLines(faultCodeViolations(plantedTree({ 'src/ha/x.ts': "new Fault('A_B')" }), curt)),
    ).toHaveLength(1)
  })
})

describe('ARCHITECTURE.md', () => {
  const path = `${repositoryRoot}ARCHITECTURE.md`

  it('shows the import table and the graph of the rooms as they are', () => {
    const before = readFileSync(path, 'utf8')
    const withTable = withSection(before, 'import-table', importTableText())
    const after = withSection(withTable, 'room-graph', mermaidGraph(roomArrows(tree)))
    if (process.env['UPDATE'] === '1') writeFileSync(path, after)
    expect(readFileSync(path, 'utf8'), 'stale: npm run docs').toBe(after)
  })

  it('would change with the tree', () => {
    const planted = plantedTree({
      'src/ha/x.ts': "import { a } from '../std/a.ts'\nimport '../model/b.ts'\n",
    })
    expect(mermaidGraph(roomArrows(planted))).toBe('```mermaid\ngraph TD\n  ha --> std\n  ha --> model\n```')
    expect(() => withSection('no marks', 'room-graph', '')).toThrow('room-graph')
  })

  it('has every room with code on its map', () => {
    const text = readFileSync(path, 'utf8')
    expect(unmappedRooms(text, tree)).toEqual([])
    expect(unmappedRooms(text, plantedTree({ 'src/attic/x.ts': '' }))).toEqual(['attic'])
  })
})

describe('the reader of imports', () => {
  it('sees through comments, strings, templates and regular expressions', () => {
    const text = [
      "// import 'a'",
      "/* import 'b' */",
      "const pattern = /import 'c'/",
      "import { d } from './d.ts' // from 'e'",
      'const half = 4 / 2; const other = 6 / 3',
      "export { f } from './f.ts'",
      'const url = \'http://x/y\' + `${a}//${"b"}`',
      "import './g.ts'",
    ].join('\n')
    expect(importsOf('src/x.ts', text).map((one) => `${one.line} ${one.specifier}`)).toEqual([
      '4 ./d.ts',
      '6 ./f.ts',
      '8 ./g.ts',
    ])
  })
})
