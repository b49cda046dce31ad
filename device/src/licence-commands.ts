/** `azukari-device licence …`, and the apps that live by a licence (W8, W9, docs/jobs.md). */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import type { Command, Values } from '@azukari/protocol/adapters/command'
import { text, UsageError } from '@azukari/protocol/adapters/command-line'
import { Problem } from '@azukari/protocol/problem'
import type { LicenceOptions } from './licences/held-licence.ts'
import type { HeldLicence } from './licences/licence-app.ts'
import type { Installed } from './local-requests.ts'

const folder = { type: 'string', what: 'the device’s folder', default: './azukari-device' } as const
const filmLook = 'film-look'
/** How often a folder is looked at, ms. */
const lookMs = 500
/** Between two writings of an app's mark, ms. */
const markStepMs = 60_000

export const licenceCommands: Record<string, Command> = {
  'licence get': {
    what: 'Registers as user of an app and gets its licence for this board; the board must run and take part in work.',
    positionals: 'APP',
    options: {
      folder,
      name: { type: 'string', what: 'who uses the app', required: true },
      contact: { type: 'string', what: 'how they are reached', required: true },
    },
    async run(values, [app = '', ...more]) {
      if (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(app) || more.length > 0)
        throw new UsageError('name one app, such as film-look; the site says which there are')
      const { askBoard } = await import('./adapters/local-socket.ts')
      const path = text(values, 'folder')
      const asked = { do: 'licence-get', app, name: text(values, 'name'), contact: text(values, 'contact') }
      const installed = await askBoard<Installed>(path, asked)
      mkdirSync(`${path}/apps`, { recursive: true, mode: 0o700 })
      replace(installedPath(path, app), new TextEncoder().encode(`${JSON.stringify(installed)}\n`))
      return {
        json: { app, title: installed.title },
        text: `${installed.title}: this board has the licence while it runs`,
      }
    },
  },

  'licence list': {
    what: 'Shows the licences that the running board holds.',
    options: { folder },
    async run(values) {
      const { askBoard } = await import('./adapters/local-socket.ts')
      const json = await askBoard<HeldLicence[]>(text(values, 'folder'), { do: 'licence-list' })
      return { json, text: json.map(lineOf).join('\n') || 'none' }
    },
  },

  'app film-look': {
    what: 'Gives each new JPEG of a folder a film look, such as on its way into a camera’s folder; runs while its licence lives.',
    options: {
      folder,
      in: { type: 'string', what: 'folder where photos come', required: true },
      out: { type: 'string', what: 'folder for the developed ones', required: true },
      look: { type: 'string', what: 'warm, mono or fade', default: 'warm' },
    },
    async run(values) {
      const [from, to] = [text(values, 'in'), text(values, 'out')]
      for (const path of [from, to]) if (!existsSync(path)) throw new UsageError(`${path} is no folder`)
      const { holdLicence } = await import('./licences/held-licence.ts')
      const stop = new AbortController()
      const onSignal = () => stop.abort(new Problem('work.stopped'))
      process.once('SIGINT', onSignal)
      process.once('SIGTERM', onSignal)
      const licence = await holdLicence(await licenceOptions(text(values, 'folder'), filmLook), stop.signal)
      process.stdout.write(`${JSON.stringify({ ready: filmLook })}\n`)
      const developed = await develop(values, from, to, AbortSignal.any([stop.signal, licence.signal]))
      licence.release()
      if (licence.signal.aborted && !stop.signal.aborted) throw licence.signal.reason
      return { json: { developed }, text: `${developed} pictures developed` }
    },
  },
}

/** Until aborted. @returns how many */
async function develop(values: Values, from: string, to: string, until: AbortSignal): Promise<number> {
  const { looks, withLook } = await import('./licences/film-look.ts')
  const { decodeUpright, encodeJpeg } = await import('./picture.ts')
  const { systemClock } = await import('@azukari/protocol/adapters/clock')
  const look = looks.find((one) => one === text(values, 'look'))
  if (!look) throw new UsageError(`--look is one of ${looks.join(', ')}`)
  const sizes = new Map<string, number>()
  let developed = 0
  while (!until.aborted) {
    for (const name of readdirSync(from)) {
      if (until.aborted) break
      if (!/\.jpe?g$/i.test(name) || existsSync(`${to}/${name}`)) continue
      const { size } = statSync(`${from}/${name}`)
      // A file that still grows is looked at again.
      if (sizes.get(name) !== size) sizes.set(name, size)
      else if (tryDevelop(name)) developed++
      await systemClock.sleep(1, until).catch(() => undefined)
    }
    await systemClock.sleep(lookMs, until).catch(() => undefined)
  }
  return developed

  function tryDevelop(name: string): boolean {
    try {
      replace(`${to}/${name}`, encodeJpeg(withLook(decodeUpright(readFileSync(`${from}/${name}`)), look!), 92))
      process.stdout.write(`${JSON.stringify({ developed: name })}\n`)
      return true
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      // Until it is another file, it is left out.
      sizes.set(name, Number.NaN)
      process.stderr.write(`${name}: ${error.message}\n`)
      return false
    }
  }
}

const installedPath = (path: string, app: string): string => `${path}/apps/${app}.json`

/** How an app that lies beside the board reaches its licence app. @throws {Problem} `licence.unknown` before `licence get` */
async function licenceOptions(path: string, app: string): Promise<LicenceOptions> {
  if (!existsSync(installedPath(path, app))) throw new Problem('licence.unknown', app)
  const { LocalLine } = await import('./adapters/local-socket.ts')
  const { systemClock } = await import('@azukari/protocol/adapters/clock')
  const { systemRandom } = await import('@azukari/protocol/adapters/random')
  const { parseCoseKey } = await import('@azukari/protocol/keys')
  const { site, siteKey } = JSON.parse(readFileSync(installedPath(path, app), 'utf8')) as Installed
  return {
    app,
    site,
    siteKey: parseCoseKey(new Uint8Array(Buffer.from(siteKey, 'base64'))),
    directory: async () => readFileSync(`${path}/keys.cose`),
    open: () => LocalLine.open(path),
    mark: markIn(`${path}/apps/${app}.mark`),
    clock: systemClock,
    random: systemRandom,
  }
}

function markIn(file: string): LicenceOptions['mark'] {
  let markMs = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0
  let writtenMs = markMs
  return {
    read: async () => markMs,
    write: async (ms) => {
      markMs = ms
      if (ms - writtenMs < markStepMs) return
      replace(file, new TextEncoder().encode(`${ms}\n`))
      writtenMs = ms
    },
  }
}

function lineOf({ app, title, leasedMs, problem }: HeldLicence): string {
  const leased = leasedMs === undefined ? 'no lease yet' : `renewed ${new Date(leasedMs).toISOString()}`
  return `${app}  ${title}  ${leased}${problem === undefined ? '' : `  (${problem})`}`
}

function replace(path: string, bytes: Uint8Array): void {
  writeFileSync(`${path}.new`, bytes, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}
