import { existsSync } from 'node:fs'
import t from 'tap'
import { hilPackages, missingPackages, testPackages } from './debian-packages.ts'

t.test('D7: packages are named once, in order, each with its purpose', (t) => {
  for (const packages of [testPackages, hilPackages]) {
    const names = packages.map(({ name }) => name)
    t.same(names, [...new Set(names)].sort())
    for (const { name, what } of packages) t.ok(what.length > 5, name)
  }
  t.end()
})

t.test('D7: what is missing is found out', (t) => {
  const none = { name: 'azukari-no-such-package', what: 'nothing' }
  const there = existsSync('/usr/bin/dpkg-query') ? [{ name: 'dpkg', what: 'Debian' }] : []
  t.same(missingPackages([...there, none]), [none])
  t.end()
})
