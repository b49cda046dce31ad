import { mkdirSync, readlinkSync, realpathSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeLinksRelative } from './tap-links.ts'

t.test('D7: a clone that was moved runs its own copy of the test runner', (t) => {
  const root = realpathSync(t.testdir({ node_modules: { '@tapjs': { core: { 'package.json': '{}' } } } }))
  const scope = join(root, '.tap/plugins/node_modules/@tapjs')
  mkdirSync(scope, { recursive: true })
  symlinkSync('/where/it/was/node_modules/@tapjs/core', join(scope, 'core'))
  makeLinksRelative(root)
  t.equal(readlinkSync(join(scope, 'core')), '../../../../node_modules/@tapjs/core')
  t.equal(realpathSync(join(scope, 'core')), join(root, 'node_modules/@tapjs/core'))
  makeLinksRelative(root)
  t.equal(realpathSync(join(scope, 'core')), join(root, 'node_modules/@tapjs/core'), 'again changes nothing')
  makeLinksRelative(join(root, 'elsewhere'))
  t.end()
})
