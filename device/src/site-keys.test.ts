import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { encodeDeterministic } from '@azukari/protocol/codec'
import { receiptDomain } from '@azukari/protocol/contracts/save'
import { sign1, signerOf } from '@azukari/protocol/cose'
import { KeptKeyDirectory } from '@azukari/protocol/kept-key-directory'
import { directoryLifeMs, type KeyDirectory, overlapMs, signKeyDirectory } from '@azukari/protocol/key-directory'
import { coseKey, generateKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import type { Log } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import t from 'tap'
import type { SiteTrust } from './identity.ts'
import { cardKeyOf, type SignedDocument, SiteKeys, trustIn } from './site-keys.ts'

const log: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log }
const made = (kind: 'ed25519' | 'x25519') => generateKey(kind, systemRandom)
const [gateway, first, second] = [made('ed25519'), made('ed25519'), made('ed25519')]
const [firstAgreement, secondAgreement] = [made('x25519'), made('x25519')]
const startMs = 1_790_000_000_000
const trust: SiteTrust = {
  site: 'tokyo',
  region: 'JP-13',
  gatewayKey: publicOf(gateway),
  placementKey: publicOf(first),
  placementAgreement: publicOf(firstAgreement),
}
const key = (private_: typeof first) => coseKey(publicOf(private_))

function directoryOf(version: number, change: Partial<KeyDirectory> = {}, rotatedMs?: number): KeyDirectory {
  const times = rotatedMs === undefined ? {} : { untilMs: rotatedMs, takenUntilMs: rotatedMs + overlapMs }
  const next: KeyDirectory['keys'] =
    rotatedMs === undefined
      ? []
      : [
          { holder: 'placement', use: 'sign', key: key(second), fromMs: rotatedMs },
          { holder: 'placement', use: 'agree', key: key(secondAgreement), fromMs: rotatedMs },
        ]
  return {
    contract: 'key-directory@1',
    site: 'tokyo',
    version,
    issuedMs: version,
    expiresMs: version + directoryLifeMs,
    keys: [
      { holder: 'placement', use: 'sign', key: key(first), fromMs: 0, ...times },
      { holder: 'placement', use: 'agree', key: key(firstAgreement), fromMs: 0, ...times },
      { holder: 'placement', use: 'card', key: key(first), fromMs: 0 },
      ...next,
    ],
    ...change,
  }
}
const signed = (directory: KeyDirectory, by = gateway) => signKeyDirectory(directory, signerOf(by))

/** A device’s keys, a gateway that answers, and a clock that stands where it was put. */
async function device() {
  const folder = mkdtempSync(join(tmpdir(), 'azukari-'))
  const site = { up: true, nowMs: startMs, asked: 0, answer: undefined as Uint8Array | undefined, trust }
  const options = {
    files: systemFiles(),
    path: `${folder}/keys.cose`,
    log,
    trust: () => site.trust,
    now: () => site.nowMs,
    link: {
      get up() {
        return site.up
      },
      call: async () => {
        site.asked++
        if (!site.up) throw new Problem('link.offline')
        return (site.answer ? { directory: site.answer } : {}) as never
      },
    },
  }
  return { site, options, keys: await SiteKeys.open(options), end: () => rmSync(folder, { recursive: true }) }
}

t.test('D1: what is sealed goes to the key of the newest directory, also after a restart', async (t) => {
  const { site, options, keys, end } = await device()
  t.teardown(end)
  const recipient = async (from = keys) => {
    const { audience, agreement } = await from.recipient('placement')
    return [Buffer.from(audience).toString('hex'), Buffer.from(coseKey(agreement)).toString('hex')]
  }
  const pair = (a: typeof first, b: typeof first) => [
    Buffer.from(thumbprint(a)).toString('hex'),
    Buffer.from(key(b)).toString('hex'),
  ]
  site.trust = undefined as never
  await t.rejects(keys.recipient('placement'), { code: 'device.unknown' })
  site.trust = trust
  t.same(await recipient(), pair(first, firstAgreement), 'what enrolment taught, before there is a directory')
  await keys.enrolled(trust, signed(directoryOf(startMs)))
  t.same(await recipient(), pair(first, firstAgreement))
  await keys.take(signed(directoryOf(startMs + 1, {}, startMs + 60_000)))
  t.same(await recipient(), pair(first, firstAgreement), 'the new keys are known before they are used')
  site.nowMs += 60_000
  t.same(await recipient(), pair(second, secondAgreement))
  t.same(await recipient(await SiteKeys.open(options)), pair(second, secondAgreement), 'after a restart')
  t.equal(site.asked, 0, 'nobody was asked: the device works without a line')
  const held = await KeptKeyDirectory.open(options, trustIn(trust))
  t.same(cardKeyOf(held.current, trust, site.nowMs), key(first), 'cards are made with the key that cards know')
  t.equal(keys.keysOf('placement', 'sign').length, 2)
})

t.test('D1: an older, forged, wrong-site or expired directory changes nothing', async (t) => {
  const { site, options, keys, end } = await device()
  t.teardown(end)
  await keys.take(signed(directoryOf(startMs)))
  const file = readFileSync(options.path)
  for (const [code, bad] of [
    ['keys.stale', signed(directoryOf(startMs - 1))],
    ['keys.stale', signed(directoryOf(startMs, { keys: [] }))],
    ['keys.forged', signed(directoryOf(startMs + 1), made('ed25519'))],
    ['keys.wrong-site', signed(directoryOf(startMs + 1, { site: 'osaka' }))],
    ['keys.expired', signed(directoryOf(startMs + 1, { issuedMs: startMs - 10, expiresMs: startMs }))],
  ] as const) {
    await t.rejects(keys.take(bad), { code }, code)
    site.answer = bad
    await t.rejects(keys.renew(), { code }, `${code} when asked for`)
  }
  t.equal(keys.version, startMs)
  t.same(readFileSync(options.path), file)
})

t.test('D1: a device whose directory has expired renews it before it seals', async (t) => {
  const { site, keys, end } = await device()
  t.teardown(end)
  await keys.take(signed(directoryOf(startMs)))
  site.nowMs += directoryLifeMs
  site.up = false
  await t.rejects(keys.recipient('placement'), { code: 'keys.expired' }, 'without a line nothing is sealed')
  site.up = true
  await t.rejects(keys.recipient('placement'), { code: 'keys.expired' }, 'a gateway that has nothing newer')
  site.answer = signed(directoryOf(site.nowMs, {}, site.nowMs - 1))
  const both = await Promise.all([keys.recipient('placement'), keys.recipient('placement')])
  t.same(coseKey(both[0].agreement), key(secondAgreement))
  t.equal(site.asked, 2, 'two at once ask once')
})

t.test(
  'S7: a receipt is believed when placement’s key of that time signed it; an unknown key is asked about',
  async (t) => {
    const { site, keys, end } = await device()
    t.teardown(end)
    const rotatedMs = startMs + 60_000
    await keys.take(signed(directoryOf(startMs)))
    const document: SignedDocument<{ at: number }> = {
      domain: receiptDomain,
      check: (body) => body as { at: number },
      atMs: ({ at }) => at,
    }
    const receipt = (at: number, by: typeof first, name = thumbprint(by)) =>
      sign1(encodeDeterministic({ at }), signerOf(by, name), receiptDomain)
    t.same(await keys.open('placement', receipt(startMs, first), document), { at: startMs })
    site.up = false
    await t.rejects(keys.open('placement', receipt(rotatedMs, second), document), { code: 'cose.unknown-key' })
    site.up = true
    site.answer = signed(directoryOf(startMs + 1, {}, rotatedMs))
    t.same(await keys.open('placement', receipt(rotatedMs, second), document), { at: rotatedMs }, 'after asking')
    t.same(
      await keys.open('placement', receipt(startMs, first), document),
      { at: startMs },
      'what was signed before stays good',
    )
    const hourMs = 3_600_000
    await t.rejects(keys.open('placement', receipt(rotatedMs + hourMs, first), document), { code: 'keys.retired' })
    await t.rejects(keys.open('placement', receipt(startMs - hourMs, second), document), { code: 'keys.retired' })
    await t.rejects(keys.open('placement', receipt(startMs, made('ed25519'), thumbprint(first)), document), {
      code: 'cose.bad-signature',
    })
    const asked = site.asked
    site.answer = undefined
    await t.rejects(keys.open('placement', receipt(startMs, gateway), document), { code: 'cose.unknown-key' })
    t.equal(site.asked, asked + 1)
    site.nowMs = rotatedMs + hourMs
    t.ok(await keys.isInUse('placement', thumbprint(second)))
    t.notOk(await keys.isInUse('placement', thumbprint(first)), 'a placement that challenges a card by a former key')
  },
)

t.test(
  'D1: a file that is damaged or another site’s counts for nothing, and a new enrolment begins anew',
  async (t) => {
    const { options, keys, end } = await device()
    t.teardown(end)
    for (const bytes of [new Uint8Array(), Buffer.from('nothing'), signed(directoryOf(startMs), made('ed25519'))]) {
      writeFileSync(options.path, bytes)
      t.equal((await SiteKeys.open(options)).version, 0)
    }
    await keys.take(signed(directoryOf(startMs)))
    const moved = { ...trust, site: 'osaka', gatewayKey: publicOf(second) }
    await t.rejects(keys.enrolled(moved, signed(directoryOf(startMs + 5))), { code: 'keys.forged' })
    await keys.enrolled(moved, signed(directoryOf(5, { site: 'osaka' }), second))
    t.equal(keys.version, 5, 'another site counts its own versions')
    await keys.enrolled(moved, undefined)
    t.equal(keys.version, 0, 'a gateway of the release before has no directory')
  },
)

t.test('D1 S7: what a revoked key signed is refused from its time on, and believed from before', async (t) => {
  const { keys, end } = await device()
  t.teardown(end)
  const rotatedMs = startMs + 1_000
  const revokedMs = startMs - 60_000
  const { keys: rows, ...rest } = directoryOf(startMs, {}, rotatedMs)
  const revoked = rows.map((row) => (row.use === 'sign' && row.fromMs === 0 ? { ...row, revokedMs } : row))
  await keys.enrolled(trust, signed({ ...rest, keys: revoked }))
  const receipt: SignedDocument<{ atMs: number }> = {
    domain: receiptDomain,
    check: (body) => body as { atMs: number },
    atMs: ({ atMs }) => atMs,
  }
  const of = (atMs: number) => sign1(encodeDeterministic({ atMs }), signerOf(first), receiptDomain)
  t.match(await keys.open('placement', of(revokedMs - 1), receipt), { atMs: revokedMs - 1 })
  await t.rejects(keys.open('placement', of(revokedMs), receipt), { code: 'keys.revoked' })
  await t.rejects(keys.open('placement', of(startMs), receipt), { code: 'keys.revoked' })
  t.notOk(await keys.isInUse('placement', thumbprint(first)))
  await t.rejects(keys.recipient('placement'), { code: 'keys.revoked' }, 'nothing is addressed to it')
})
