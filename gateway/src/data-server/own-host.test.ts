/** A host that joins believes only a site that knows its claim (D6): a man in the middle gets nothing and gives nothing. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { base32 } from '@azukari/protocol/base32'
import type { ReplyOf } from '@azukari/protocol/contract'
import { enrolServer } from '@azukari/protocol/contracts/server-enrolment'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import t, { type Test } from 'tap'
import { systemPorts } from '../adapters/system-ports.ts'
import { certify, createAuthority, issue } from '../pki/authority.ts'
import { throwUnlisted } from '../service/unlisted.ts'
import { silent } from '../test-contracts.ts'
import { answers, startCallServer } from '../transport/server.ts'
import { replyProof } from './enrolment.ts'
import { joinSite } from './own-host.ts'

const validity = { nowMs: Date.now(), days: 1 }
type Answer = ReplyOf<typeof enrolServer>

/** A site that answers as `answer` says, and a host that joins it. */
async function joining(
  t: Test,
  answer: (honest: Omit<Answer, 'proof'>, secret: Uint8Array, asked: Uint8Array) => Answer,
) {
  const authority = await createAuthority('tokyo', validity, systemRandom)
  const shown = await issue(authority, { id: 'gateway', role: 'gateway' }, validity, systemRandom)
  const secret = systemRandom.bytes(20)
  let heard = ''
  const server = await startCallServer({
    tls: { ca: authority.cert, ...shown },
    clock: systemClock,
    log: silent,
    unlisted: throwUnlisted,
    port: 0,
    handlers: [
      answers(enrolServer, 'strangers', async (asked) => {
        heard = JSON.stringify(asked)
        const name = { id: asked.claim, role: 'data-server' } as const
        const key = coseKey(publicOf(generateKey('ed25519', systemRandom)))
        const honest = {
          site: 'tokyo',
          authority: [authority.cert],
          placementKey: key,
          placementAgreement: key,
          siteKey: key,
          certificate: await certify(authority, name, asked.request, validity, systemRandom),
        }
        return { reply: answer(honest, secret, asked.proof) }
      }),
    ],
  })
  t.teardown(() => server.stop(0))
  const folder = mkdtempSync(join(tmpdir(), 'azukari-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const asked = {
    folder,
    claim: `naha.${base32(secret)}`,
    gateway: `https://127.0.0.1:${server.port}`,
    url: 'https://127.0.0.1:9001',
    host: '127.0.0.1',
    port: 9001,
    disks: [{ path: join(folder, 'disk'), capacityBytes: 1e9 }],
  }
  return { folder, joined: joinSite(asked, systemPorts), heard: () => heard, secret: base32(secret) }
}

t.test('D6 S7: whoever answers without knowing the claim is an impostor, and nothing of theirs is kept', async (t) => {
  const { folder, joined, heard, secret } = await joining(t, (honest) => ({ ...honest, proof: systemRandom.bytes(32) }))
  await t.rejects(joined, { code: 'server.impostor' })
  t.notOk(heard().includes(secret), 'the secret itself never travels')
  for (const name of ['tls', 'data-server.json', 'placement', 'site.pub']) t.notOk(existsSync(join(folder, name)), name)
})

t.test('D6 S7: whoever stands between can change no part of the answer', async (t) => {
  const other = coseKey(publicOf(generateKey('ed25519', systemRandom)))
  const elsewhere = await createAuthority('elsewhere', validity, systemRandom)
  const changes: { [Field in keyof Omit<Answer, 'proof'>]-?: Answer[Field] } = {
    site: 'osaka',
    authority: [elsewhere.cert],
    certificate: elsewhere.cert,
    placementKey: other,
    placementAgreement: other,
    siteKey: other,
  }
  for (const field of Object.keys(changes) as (keyof typeof changes)[]) {
    const { joined } = await joining(t, (honest, secret, asked) => ({
      ...honest,
      [field]: changes[field],
      proof: replyProof(secret, asked, honest),
    }))
    await t.rejects(joined, { code: 'server.impostor' }, field)
  }
  const { joined } = await joining(t, (honest, secret, asked) => ({
    ...honest,
    proof: replyProof(secret, asked, honest),
  }))
  t.match(await joined, { id: 'naha', site: 'tokyo' }, 'unchanged, it joins')
})
