// Runs the suite's client: node client.mjs SUITE URL OUT PATTERN. URL is the
// proxy's, PATTERN selects tests by id; OUT receives what became of each test.
import fs from 'node:fs'
import path from 'node:path'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const [suite, base, out, pattern] = process.argv.slice(2)
const load = file => import(pathToFileURL(path.join(suite, file)))

// The npm release has its modules at the top, an older runner that wants a
// fetch, and its verdicts among the functions of its web page.
const released = !fs.existsSync(path.join(suite, 'test-engine'))
const engine = released ? '.' : 'test-engine'
const { runTests, getResults } = await load(`${engine}/client/runner.mjs`)
const { determineTestResult } = await load(released ? 'lib/display.mjs' : 'test-engine/lib/results.mjs')
const fetcher = released ? [createRequire(path.join(suite, 'package.json'))('node-fetch')] : []

const { default: groups } = await load('tests/index.mjs')
const byID = new Map(groups.flatMap(group => group.tests).map(test => [test.id, test]))

// A test has no verdict without those that it depends on.
const selected = new Set()
function select (id) {
  if (selected.has(id)) return
  selected.add(id)
  byID.get(id).depends_on?.forEach(select)
}
const matches = new RegExp(pattern)
for (const id of byID.keys()) if (matches.test(id)) select(id)

for (const group of groups) {
  group.tests = group.tests.filter(test => selected.has(test.id))
  // The runner would skip a browser's tests: some are any private cache's.
  for (const test of group.tests) delete test.browser_only
}

const verdicts = {
  '✅': 'pass',
  '⛔️': 'fail',
  '⚠️': 'fail',
  Y: 'pass',
  N: 'fail',
  '🔹': 'setup',
  '⁉️': 'harness',
  '⚪️': 'dependency',
  '↻': 'retry',
  '-': 'untested'
}

await runTests(groups, ...fetcher, false, base, 50)
const results = getResults()
const verdict = id => verdicts[determineTestResult(groups, id, results)[2]]

const rows = [...selected].map(id => {
  const test = byID.get(id)
  const row = {
    id,
    name: test.name,
    kind: test.kind ?? 'required',
    cdn: test.cdn_only === true,
    selected: matches.test(id),
    verdict: verdict(id),
    message: results[id]?.[1] ?? ''
  }
  if (row.verdict === 'dependency') {
    row.message = 'needs ' + test.depends_on.filter(id => verdict(id) !== 'pass').join(', ')
  }
  return row
})
fs.writeFileSync(out, JSON.stringify(rows, null, 2))
process.exit() // connections that are kept alive would hold it
