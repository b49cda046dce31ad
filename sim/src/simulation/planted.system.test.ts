/**
 * The simulation finds mistakes of the services themselves: each is made in a copy of the gateway's sources, by changing a line
 * or two, and the copy's services take the place of the gateway's own.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { runWhole, Violation } from './whole.ts'

const root = resolve(import.meta.dirname, '../../..')

interface Planted {
  what: string
  /** In the gateway's sources. */
  file: string
  change: readonly (readonly [from: string, to: string])[]
  /** Found within so many seeds, and as what. */
  seeds: number
  by: RegExp
}

const planted: readonly Planted[] = [
  {
    what: 'a handler that awaits something else than its store',
    file: 'services/settlement/payments/purchase.ts',
    change: [['const order = await orderByNumber(sql, body.transaction)', '$&\n      await shared.clock.sleep(20)']],
    seeds: 2,
    by: /^bug$/,
  },
  {
    what: 'a word for another service that is never sent',
    file: 'services/settlement/members/register-sync.ts',
    change: [['await send(keepCard, word)', 'if (revision % 2 === 1) $&']],
    seeds: 4,
    by: /^(M7|I3)$/,
  },
  {
    what: 'a member’s token that is not checked',
    file: 'service/member-tokens.ts',
    change: [
      [
        'await openMemberToken(token, keyOf, { device, nowMs })',
        '$&.catch(() => ({ id: token.slice(0, 16), level: 1, card: token.slice(0, 32), session: token.slice(0, 16) }))',
      ],
      ["throw new Problem('session.ended')", 'return member'],
    ],
    seeds: 2,
    by: /^I10$/,
  },
  {
    what: 'a payment that is applied twice',
    file: 'services/settlement/payments/top-up.ts',
    change: [
      ["row.state !== 'expired'", "row.state !== 'expired' && row.state !== 'issued'"],
      ["derivedId('issue', row.id)", 'shared.random.bytes(16)'],
    ],
    seeds: 4,
    by: /^M[123]$/,
  },
  {
    what: 'a reversal that is forgotten',
    file: 'services/settlement/payments/card-company.ts',
    change: [['matched ??= await queue.reversed(within, reversal)', "matched ??= queue ? 'forgotten' : undefined"]],
    seeds: 8,
    by: /^M2$/,
  },
]

/** A copy of the gateway with a mistake in it. @returns its list of services */
function copyWith(t: Test, { file, change }: Planted): { services: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'azukari-planted-'))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  cpSync(join(root, 'gateway/src'), join(folder, 'gateway/src'), { recursive: true })
  cpSync(join(root, 'gateway/package.json'), join(folder, 'gateway/package.json'))
  const path = join(folder, 'gateway/src', file)
  let text = readFileSync(path, 'utf8')
  for (const [from, to] of change) {
    t.equal(text.split(from).length, 2, `${file} has one place with ${from}`)
    text = text.replace(from, to)
  }
  writeFileSync(path, text)
  const services = pathToFileURL(join(folder, 'gateway/src/services/index.ts')).href
  return { services, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

for (const bug of planted)
  t.test(`the simulation finds within ${bug.seeds} seeds: ${bug.what}`, async (t) => {
    const { services, remove } = copyWith(t, bug)
    t.teardown(remove)
    let found: Violation | undefined
    for (let seed = 1; seed <= bug.seeds && !found; seed++) {
      try {
        await runWhole({ seed, services })
      } catch (error) {
        if (!(error instanceof Violation)) throw error
        found = error
      }
    }
    t.match(found?.invariant, bug.by, found?.message ?? 'not found')
    t.comment(found?.message.slice(0, 300))
  })
