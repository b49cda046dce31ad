import { cardShare } from '@azukari/device/vault/card-share'
import { freeTries, waitAfter } from '@azukari/device/vault/lockout'
import { ChancePool, keysOfSeed, makeSeed } from '@azukari/device/vault/seed'
import { passwordBytes, secretOf, Vault } from '@azukari/device/vault/vault'
import { register } from '@azukari/protocol/contracts/settlement-members'
import { generateRsaKey, thumbprint } from '@azukari/protocol/keys'
import { isProblem, type ProblemCode } from '@azukari/protocol/problem'
import t, { type Test } from 'tap'
import { issue, never, openToWrite, pin } from '../../testkit/card/fixture.ts'
import { FixtureClock, seeded } from '../../testkit/settlement/fixture.ts'
import { SimFiles } from '../../testkit/world/files.ts'

const cost = { memoryKib: 64, passes: 1, lanes: 1 }
const [a, b] = [passwordBytes('correct horse'), passwordBytes('battery staple')]
const refused = async (t: Test, code: ProblemCode, work: Promise<unknown>, what: string) => {
  try {
    await work
    t.fail(`${what}: ${code} was expected`)
  } catch (error) {
    t.ok(isProblem(error, code), `${what}: ${code}, not ${error}`)
  }
}

function fixture(seed = 1) {
  const random = seeded(seed)
  const ports = { clock: new FixtureClock(1_000_000), random, files: new SimFiles({ random }) }
  return { ...ports, ports, vault: new Vault(ports, '/terminal/vault') }
}
/** A new vault's, as the member asks for it. */
const twoPasswords = () => ({
  terminal: 'term-1',
  secret: { seed: new Uint8Array(32).fill(7) },
  passwordA: a,
  passwordB: b,
  cost,
})
const entry = { atMs: 5, what: 'purchase', reference: '40000000000123', changeMinor: -330, currency: 'JPY' }

t.test('P2 P8 two passwords: A shows the history and what waits, never the key; signing needs both', async (t) => {
  const { vault, random, files } = fixture()
  await refused(t, 'vault.absent', vault.open(a), 'before there is one')
  const seed = makeSeed(random)
  await vault.create({ terminal: 'term-1', secret: { seed: seed.slice() }, passwordA: a, passwordB: b })
  const open = await vault.open(a)
  await open.note(entry)
  await open.wait({ contract: register.id, body: new Uint8Array(64), atMs: 6 })
  t.strictSame(open.history, [entry])
  await refused(
    t,
    'vault.wrong',
    open.unlock(a, () => 'the key'),
    'A is not B',
  )
  t.same(await open.unlock(b, ({ signing }) => thumbprint(signing)), thumbprint(keysOfSeed(seed).signing))
  open.lock()
  t.strictSame(open.history, [])
  await t.rejects(open.note(entry), { code: 'vault.passwords' })
  const again = await vault.open(a)
  t.strictSame(again.history, [entry])
  t.equal(again.waiting[0]!.contract, register.id)
  await again.sent(again.waiting[0]!)
  t.equal((await vault.open(a)).waiting.length, 0)
  await refused(t, 'vault.wrong', vault.open(b), 'B does not open the outer box')
  const onDisk = Buffer.concat(files.paths('/').map((path) => files.durable(path)!))
  t.notOk(onDisk.includes(Buffer.from(seed)), 'the seed lies nowhere in the clear')
  t.notOk(onDisk.includes('40000000000123'), 'nor does the history')
})

t.test('P2 either password is changed without the other, and the old one opens no generation', async (t) => {
  const { vault, files, ports } = fixture()
  await vault.create(twoPasswords())
  const [a2, b2] = [passwordBytes('another horse'), passwordBytes('another staple')]
  const open = await vault.open(a)
  await open.note(entry)
  await refused(t, 'vault.weak', open.changeB(b, a), 'B like A')
  await refused(t, 'vault.weak', open.changeA(b), 'A like B')
  await refused(t, 'vault.wrong', open.changeB(b2, b), 'without the old B')
  await open.changeB(b, b2)
  await open.unlock(b2, () => {})
  await open.changeA(a2)
  await open.unlock(b2, () => {})
  await refused(t, 'vault.wrong', vault.open(a), 'the old A')
  await files.remove('/terminal/vault/vault')
  await files.remove('/terminal/vault/tries')
  const older = new Vault(ports, '/terminal/vault')
  await refused(t, 'vault.wrong', older.open(a), 'the old A on the older generation')
  const reopened = await older.open(a2)
  await reopened.unlock(b2, () => {})
  t.strictSame(reopened.history, [entry])
})

t.test('P10 one password, where the member accepts the risk; and from one to two', async (t) => {
  const { vault } = fixture()
  await vault.create({ terminal: 'term-1', secret: { seed: new Uint8Array(32).fill(7) }, passwordA: a, cost })
  const open = await vault.open(a)
  await open.unlock(a, () => {})
  await refused(t, 'vault.passwords', open.changeA(b), 'there is no separate A')
  await open.changeBoth(a, { a, b })
  await refused(
    t,
    'vault.wrong',
    open.unlock(a, () => {}),
    'now B is needed',
  )
  await open.unlock(b, () => {})
  await t.rejects(
    vault.create({ terminal: 't', secret: { seed: new Uint8Array(32) }, passwordA: passwordBytes('aaaaaaaa') }),
    { code: 'vault.weak' },
  )
  await t.rejects(vault.create({ terminal: 't', secret: { seed: new Uint8Array(32) }, passwordA: a, passwordB: a }), {
    code: 'vault.weak',
  })
})

t.test('P2 wrong passwords: after a few the vault waits, also through a restart and a clock set back', async (t) => {
  const { vault, clock, ports } = fixture()
  await vault.create(twoPasswords())
  for (let i = 0; i < freeTries; i++)
    await refused(t, 'vault.wrong', vault.open(passwordBytes(`guess number ${i}`)), `guess ${i}`)
  await refused(t, 'vault.locked', vault.open(a), 'even the right one must wait')
  const restarted = new Vault(ports, '/terminal/vault')
  clock.turn(waitAfter(freeTries) - 1)
  await refused(t, 'vault.locked', restarted.open(a), 'a millisecond too early')
  clock.turn(-500_000)
  await refused(t, 'vault.locked', restarted.open(a), 'a clock set back wins nothing')
  clock.turn(600_000)
  const open = await restarted.open(a)
  await refused(
    t,
    'vault.wrong',
    open.unlock(passwordBytes('guess again'), () => {}),
    'guesses at B count too',
  )
  t.equal(waitAfter(freeTries + 40), 24 * 3_600_000, 'the wait has a limit')
})

t.test('P2 the card’s secret is mixed in: the file and both passwords are not enough', async (t) => {
  const { ports, random } = fixture()
  const client = async () => {
    const client = await openToWrite(card.card)
    await client.verifyPin(pin!, never)
    return cardShare({ agreement: client.facts.keys.agreement, agree: (point) => client.agree(point, never) }, random)
  }
  const card = issue('ed25519')
  const share = await client()
  const vault = new Vault(ports, '/terminal/vault', share)
  await vault.create({ ...twoPasswords(), card: share })
  const open = await vault.open(a)
  await open.unlock(b, () => {})
  const without = await new Vault(ports, '/terminal/vault').open(a)
  t.ok(without, 'A alone shows the history, without the card too')
  await refused(
    t,
    'card.absent',
    without.unlock(b, () => {}),
    'without the card',
  )
  const other = cardShare({ agreement: share2().publicKey, agree: async () => random.bytes(32) }, random)
  const withOther = await new Vault(ports, '/terminal/vault', other).open(a)
  await refused(
    t,
    'vault.wrong',
    withOther.unlock(b, () => {}),
    'with another card',
  )
  const lines = await open.toPaper(b)
  const fresh = fixture(2)
  await fresh.vault.restore(lines, { terminal: 'term-2', passwordA: a, passwordB: b, passwords: 'two', cost })
  await (await fresh.vault.open(a)).unlock(b, ({ signing }) =>
    t.same(thumbprint(signing), open.kid, 'paper restores without the card'),
  )
})

function share2() {
  return { publicKey: keysOfSeed(new Uint8Array(32).fill(9)).agreement }
}

t.test('P2 paper: every slip of the pen is found on its line, and paper alone opens nothing', async (t) => {
  const { vault } = fixture()
  await vault.create(twoPasswords())
  const open = await vault.open(a)
  const lines = await open.toPaper(b)
  const given = { terminal: 'term-2', passwordA: a, passwordB: b, passwords: 'two' as const, cost }
  for (const [what, wrong] of [
    [
      'a letter',
      lines.map((line, i) => (i === 2 ? line.replace(/ (.)/, (_, letter) => ` ${letter === 'a' ? 'b' : 'a'}`) : line)),
    ],
    ['a missing line', lines.filter((_, i) => i !== 2)],
    ['a line twice', [...lines, lines[2]!]],
  ] as const)
    await t.rejects(fixture().vault.restore(wrong, given), { code: 'vault.paper', detail: /line 3/ }, what)
  await t.rejects(fixture().vault.restore(['nonsense'], given), { code: 'vault.paper' })
  await t.rejects(fixture().vault.restore(lines, { ...given, passwordB: passwordBytes('no password') }), {
    code: 'vault.wrong',
  })
  const restored = fixture(3).vault
  await restored.restore(
    [...lines].reverse().map((line) => line.toUpperCase()),
    given,
  )
  t.same((await restored.open(a)).kid, open.kid)
})

t.test('P2 a seed from the system, from the member, or both; RSA keys lie in the inner box themselves', async (t) => {
  const pool = new ChancePool()
  for (let i = 0; i < 40; i++) pool.event('key', i * 100)
  t.throws(() => pool.take(), { code: 'vault.entropy' }, 'a metronome is no chance')
  for (let i = 0; i < 70; i++) pool.event('mouse', 5_000 + i * 37 + ((i * i) % 23))
  t.equal(pool.progress, 1)
  const { random, vault } = fixture()
  t.notSame(makeSeed(random, pool), makeSeed(random, pool))
  const flat = new ChancePool()
  flat.noise(new Uint8Array(10_000))
  t.equal(flat.progress, 0, 'a lens that shows nothing')
  flat.noise(random.bytes(4096))
  t.equal(flat.progress, 1)
  const rsa = generateRsaKey()
  await vault.create({ terminal: 't', secret: secretOf(makeSeed(random), rsa), passwordA: a, passwordB: b, cost })
  await (await vault.open(a)).unlock(b, ({ signing }) => t.same(thumbprint(signing), thumbprint(rsa)))
})

t.test('P2 power cuts: at every moment of every change there is a whole vault, before or after it', async (t) => {
  for (let cut = 1; cut < 60; cut++) {
    const { vault, files, ports } = fixture(cut)
    await vault.create(twoPasswords())
    const open = await vault.open(a)
    await open.note(entry)
    const before = files.changes
    files.cutAfterChanges = before + cut
    const a2 = passwordBytes('another horse')
    let done = 0
    try {
      await open.note({ ...entry, atMs: 6 })
      done = 1
      await open.changeA(a2)
      done = 2
    } catch (error) {
      if (!isProblem(error)) throw error
    }
    if (done === 2 && files.changes < before + cut) break
    files.powerLoss()
    const after = new Vault(ports, '/terminal/vault')
    const opened = await after.open(done === 2 ? a2 : a).catch(() => after.open(a2))
    if (opened.history.length < 1 + Math.min(done, 1)) t.fail(`cut ${cut}: an acknowledged entry is lost`)
    await opened.unlock(b, () => {})
  }
  const { vault, files } = fixture()
  await vault.create({ terminal: 't', secret: { seed: new Uint8Array(32).fill(7) }, passwordA: a, passwordB: b, cost })
  await (await vault.open(a)).note(entry)
  files.rot('/terminal/vault/vault', 3)
  t.strictSame((await vault.open(a)).history, [], 'the older generation serves when the newer one rots')
  files.rot('/terminal/vault/vault.old', 3)
  await refused(t, 'vault.damaged', vault.open(a), 'both are rotten')
})
