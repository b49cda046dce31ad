/** The suites under Node's own test runner, for drivers whose packages have no other (`docs/drivers.md`). */
import assert from 'node:assert'
import type { TestContext } from 'node:test'
import type { Checks } from './suite.ts'

/** @param t of `node:test` */
export function nodeChecks(t: TestContext): Checks {
  return {
    test: (title, _, work) => t.test(title, (inner) => work(nodeChecks(inner))),
    ok: (value, ...message) => assert.ok(value, ...message),
    equal: (found, wanted, ...message) => assert.strictEqual(found, wanted, ...message),
    same: (found, wanted, ...message) => assert.deepEqual(found, wanted, ...message),
    teardown: (undo) => t.after(undo),
  }
}
