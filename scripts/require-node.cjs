'use strict'
// Runs on any Node: says in one line that this one is too old, instead of a syntax error later.
var wanted = [20, 19]
var actual = process.versions.node.split('.').map(Number)
if (actual[0] < wanted[0] || (actual[0] === wanted[0] && actual[1] < wanted[1])) {
  process.stderr.write('pg-metako needs Node.js 20.19 or newer: this is ' + process.versions.node + '\n')
  process.exit(2)
}
