import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { encodeDeterministic } from '@azukari/protocol/codec'
import { sign1, signerOf } from '@azukari/protocol/cose'
import { signKeyDirectory } from '@azukari/protocol/key-directory'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import { leaseDomain, proveLicence } from '@azukari/protocol/licence'
import { Problem } from '@azukari/protocol/problem'
import t from 'tap'
import { holdLicence, type LicenceLine, type LicenceOptions } from './held-licence.ts'

const key = () => generateKey('ed25519', systemRandom)
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
const never = new AbortController().signal

/** A licence app that answers as a real one would, until it is told otherwise. */
function beside(more: Partial<LicenceOptions> = {}) {
  const [gateway, work, device] = [key(), key(), key()]
  const lease = sign1(
    encodeDeterministic({
      contract: 'work.licence.renew@1',
      licence: new Uint8Array(16),
      app: 'film-look',
      device: 'board',
      key: coseKey(publicOf(device)),
      issuedMs: 1_000,
      expiresMs: 9_000,
    }),
    signerOf(work),
    leaseDomain,
  )
  const directory = signKeyDirectory(
    {
      contract: 'key-directory@1',
      site: 'home',
      version: 1,
      issuedMs: 0,
      expiresMs: 1,
      keys: [{ holder: 'work', use: 'sign', key: coseKey(publicOf(work)), fromMs: 0 }],
    },
    signerOf(gateway),
  )
  const ended = Promise.withResolvers<void>()
  const app = {
    nowMs: 2_000,
    challenges: 0,
    markMs: 0,
    by: device,
    answer: undefined as Promise<never> | undefined,
    end: () => ended.resolve(),
  }
  const line: LicenceLine = {
    closed: ended.promise,
    close: () => undefined,
    ask: async <T>(request: unknown) => {
      app.challenges++
      if (app.answer) return app.answer
      const nonce = new Uint8Array(Buffer.from((request as { nonce: string }).nonce, 'base64'))
      return { lease: base64(lease), proof: base64(proveLicence(lease, nonce, app.nowMs, signerOf(app.by))) } as T
    },
  }
  const options: LicenceOptions = {
    app: 'film-look',
    site: 'home',
    siteKey: publicOf(gateway),
    directory: async () => directory,
    open: async () => line,
    mark: {
      read: async () => app.markMs,
      write: async (ms) => {
        app.markMs = ms
      },
    },
    clock: systemClock,
    random: systemRandom,
    everyMs: 5,
    ...more,
  }
  return { app, options, hold: () => holdLicence(options, never) }
}

/** Why it ended. */
const reason = (signal: AbortSignal) =>
  new Promise<Problem>((done) => {
    if (signal.aborted) done(signal.reason)
    signal.addEventListener('abort', () => done(signal.reason), { once: true })
  })

const alive = setInterval(() => undefined, 1 << 30)
t.teardown(() => clearInterval(alive))

t.test('W9: an app ends at once when its licence app has ended', async (t) => {
  const { app, hold } = beside({ everyMs: 1 << 30 })
  const held = await hold()
  t.notOk(held.signal.aborted)
  app.end()
  t.equal((await reason(held.signal)).code, 'licence.lost')
})

t.test('W9: a licence app that says nothing has stopped: the app ends within ten seconds', async (t) => {
  const pauses: number[] = []
  const limits: number[] = []
  let isSilent = false
  const clock = {
    ...systemClock,
    sleep: async (ms: number) => void pauses.push(ms),
    timer: (ms: number, fire: () => void) => {
      if (isSilent) limits.push(ms)
      return systemClock.timer(isSilent ? 0 : ms, fire)
    },
  }
  const { app, options } = beside({ clock })
  delete options.everyMs
  const held = await holdLicence(options, never)
  isSilent = true
  limits.length = 0
  app.answer = new Promise(() => undefined)
  t.equal((await reason(held.signal)).code, 'licence.lost')
  const longestMs = limits.reduce((sum, ms) => sum + ms, pauses.at(-1)!)
  t.ok(longestMs <= 10_000, `${longestMs} ms`)
})

t.test('W9: the challenge is new each time, and the lease’s end counts while the app runs', async (t) => {
  const { app, hold } = beside()
  const held = await hold()
  app.nowMs = 9_000
  t.equal((await reason(held.signal)).code, 'licence.expired')
  t.ok(app.challenges > 1)
})

t.test('W9: a clock that is put back does not give the app more time', async (t) => {
  const { app, hold } = beside()
  app.nowMs = 8_999
  ;(await hold()).release()
  t.equal(app.markMs, 8_999)
  app.nowMs = 2_000
  ;(await hold()).release()
  t.equal(app.markMs, 8_999, 'time stands where it was')
  app.markMs = 9_000
  await t.rejects(hold(), { code: 'licence.expired' })
})

t.test('W9: what another board, or a board without work, says is no licence', async (t) => {
  const { app, hold } = beside()
  app.by = key()
  await t.rejects(hold(), { code: 'licence.other-device' })
  app.answer = Promise.reject(new Problem('licence.idle'))
  app.answer.catch(() => undefined)
  await t.rejects(hold(), { code: 'licence.idle' })
})

t.test('W9: a site that the app was not installed for gives no licence', async (t) => {
  const { hold } = beside({ siteKey: publicOf(key()) })
  await t.rejects(hold(), { code: 'keys.forged' })
})
