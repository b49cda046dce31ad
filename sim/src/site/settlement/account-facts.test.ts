import { memoryDatabase } from '@azukari/gateway/adapters/database'
import { accountFacts } from '@azukari/gateway/services/placement/members/account-facts'
import { placementMigrations } from '@azukari/gateway/services/placement/migrations'
import { migrate } from '@azukari/gateway/storage/migrate'
import t from 'tap'

const blob = (byte: number, length = 16) => new Uint8Array(length).fill(byte)

t.test('S13 what a statement is made of: profile, usage, data check and the period’s verdicts', async (t) => {
  const sql = memoryDatabase()
  await migrate(sql, [{ set: 'placement', migrations: placementMigrations }], 0)
  await sql.run(
    `INSERT INTO members (id, number, name, level, home, since, status, auth_key, auth_kid, acts_key, acts_kid, agreement_key,
       wrapped_key) VALUES (?, 'A-1', 'Hanako', 2, 'JP-13', 500, 'active', ?, ?, ?, ?, ?, ?)`,
    blob(1),
    blob(2),
    blob(3, 32),
    blob(4),
    blob(5, 32),
    blob(6),
    blob(7),
  )
  await sql.run(
    `INSERT INTO servers (id, name, region, latitude, longitude, domain, url, key, kid, capacity, rates)
     VALUES ('one', 'One', 'JP-01', 0, 0, 'd', 'https://one', ?, ?, 1, '[]')`,
    blob(1),
    blob(2),
  )
  const save = async (object: number, receipts: number) => {
    await sql.run(
      `INSERT INTO saves (object, version, member, device, asking, transfer, transfer_key, root, size, sha256, name, media, taken,
         state, at, receipt) VALUES (?, 1, ?, 'd', 'JP-13', ?, ?, ?, 1000, ?, 'n', 'image/jpeg', ?, 'kept', 0, ?)`,
      blob(object),
      blob(1),
      blob(object),
      blob(1),
      blob(1),
      blob(1),
      object,
      blob(9),
    )
    if (object === 23) await sql.run('UPDATE saves SET kept = 400 WHERE object = ?', blob(object))
    for (const slot of [1, 2])
      await sql.run(
        `INSERT INTO replicas (object, version, slot, server, epoch, algorithm, key_id, wrapped_key, prefix, sealed, receipt, reason)
         VALUES (?, 1, ?, 'one', 1, 'A256GCM', ?, ?, ?, 1, ?, 'r')`,
        blob(object),
        slot,
        blob(1),
        blob(1),
        blob(1),
        slot <= receipts ? blob(1) : null,
      )
  }
  await save(21, 2)
  await save(22, 2)
  await save(23, 1)
  const verdict = (at: number, kind: string, object: number, done: number | null) =>
    sql.run(
      `INSERT INTO verdicts (at, kind, server, object, version, slot, epoch, member, because, signed, outcome, done)
       VALUES (?, ?, 'one', ?, 1, 1, 1, ?, 'b', ?, 'o', ?)`,
      at,
      kind,
      blob(object),
      blob(1),
      blob(1),
      done,
    )
  await verdict(900, 'tampering', 21, 1)
  await verdict(1_500, 'tampering', 21, 1)
  await verdict(1_600, 'media', 22, null)
  const facts = await accountFacts(sql, { card: blob(3, 32), fromMs: 1_000, toMs: 2_000 }, 3_000)
  t.match(facts, { level: 2, home: 'JP-13', sinceMs: 500, objects: 3, bytes: 3_000, tamperings: 1 })
  t.match(facts.check, { objects: 3, checked: 3, bad: 2, atMs: 3_000 })
  t.strictSame(
    facts.faults.map(({ verdict }) => verdict),
    ['media', 'tampering'],
  )
  t.equal(facts.kept.length, 6)
  const before = await accountFacts(sql, { card: blob(3, 32), fromMs: 0, toMs: 400 }, 3_000)
  t.match(before, { objects: 3, bytes: 2_000 }, 'what came after the period is no part of its price')
  await sql.run('UPDATE saves SET opened = 2_500 WHERE object = ?', blob(21))
  const checked = await accountFacts(sql, { card: blob(3, 32), fromMs: 0, toMs: 400, checkedSinceMs: 2_000 }, 3_000)
  t.match(checked.check, { objects: 3, checked: 1, waiting: 2, bad: 2 }, 'evidence that is older does not count')
  await t.rejects(() => accountFacts(sql, { card: blob(9, 32), fromMs: 0, toMs: 1 }, 0), { code: 'card.unknown' })
  t.end()
})
