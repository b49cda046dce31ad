/**
 * `kill -9` of real processes (D7, issue 2): gateway, device and data servers die at random moments while 200 small
 * things are saved. Replay with AZUKARI_SEED.
 */
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fetchObject } from '@azukari/device/apps/fetch'
import { catalogueVersionsKept } from '@azukari/gateway/services/placement/members/catalogue'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { isProblem } from '@azukari/protocol/problem'
import t from 'tap'
import type { VirtualCard } from '../testkit/card/virtual-card.ts'
import { quietLog } from '../testkit/log.ts'
import { boardPlaces, places } from '../testkit/places.ts'
import { DeviceChild } from './device-child.ts'
import { statusReader } from './server-status.ts'
import { pin, SimulatedSite } from './site.ts'
import { pictureOf } from './test-pictures.ts'
import { until } from './wait.ts'

const seed = Number(process.env['AZUKARI_SEED'] ?? 1)
const saves = Number(process.env['AZUKARI_SAVES'] ?? 200)
/** As many as a card holds the conditions of. */
const perCard = 16
const killsPerCard = 2
/** Catalogues that may stand for one member: those that a card may still point to, the newest, and one under way. */
const catalogueVersions = catalogueVersionsKept + 2

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** The same numbers for the same seed (mulberry32). */
function chance(start: number): () => number {
  let state = start >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let x = Math.imul(state ^ (state >>> 15), state | 1)
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61)
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32
  }
}

t.test(`D5 D7 S7: ${saves} saves under kill -9, seed ${seed}`, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'azukari-crash-'))
  const servers = places.filter(({ id }) => ['ishikari', 'osaka', 'fukuoka', 'singapore', 'frankfurt'].includes(id))
  const site = new SimulatedSite({
    folder,
    servers,
    boards: boardPlaces.filter(({ role }) => role === 'printer'),
    log: quietLog,
  })
  let device: DeviceChild | undefined
  let dying = 0
  let chaos = Promise.resolve()
  t.teardown(async () => {
    dying = 0
    await chaos.catch(() => undefined)
    await device?.kill()
    await site.stop()
    await rm(folder, { recursive: true, force: true })
  })
  await site.start()
  const claim = await site.newClaim('JP-13')
  device = new DeviceChild({ folder: `${folder}/devices/camera`, url: `mqtt://127.0.0.1:${site.port}`, claim })
  await device.start()
  const random = chance(seed)
  const kills = { gateway: 0, device: 0, server: 0 }
  const camera = device

  const murder = {
    gateway: async () => {
      await site.gateway!.kill()
      kills.gateway++
      await pause(random() * 300)
      await site.startGateway()
    },
    device: async () => {
      await camera.kill()
      kills.device++
      await pause(random() * 300)
      await camera.start()
    },
    server: async () => {
      const victim = servers[Math.floor(random() * servers.length)]!
      await site.servers.get(victim.id)!.process!.kill()
      kills.server++
      await pause(random() * 300)
      await site.startServer(victim)
    },
  }
  const victims = Object.keys(murder) as (keyof typeof murder)[]

  const knows = async (picture: string) =>
    until('the device', () =>
      camera.report().then(
        ({ saves }) => ({ known: saves.some((save) => save.sha256 === picture) }),
        () => undefined,
      ),
    )

  /** Presses until the device has said yes; when it dies meanwhile, looks whether it knows the picture already. */
  async function press(n: number): Promise<void> {
    const picture = sha256(pictureOf(seed, n))
    await until(`save ${n}`, async () => {
      try {
        const { problem } = await camera.press(seed, n, pin)
        if (!problem) return true
        // The card is read anew after a start; before the first enrolment nothing can be kept.
        if (!problem.startsWith('card.') && problem !== 'device.unknown') throw new Error(`save ${n}: ${problem}`)
        return undefined
      } catch (error) {
        if (!isProblem(error, 'part.absent')) throw error
        return (await knows(picture)).known
      }
    })
  }

  const cards: { card: VirtualCard; pictures: number[] }[] = []
  for (let first = 0; first < saves; first += perCard) {
    const card = await site.issueCard(`Member ${cards.length + 1}`)
    const pictures = Array.from({ length: Math.min(perCard, saves - first) }, (_, i) => first + i)
    cards.push({ card, pictures })
    camera.insert(card)
    dying = killsPerCard
    chaos = (async () => {
      for (; dying > 0; dying--) {
        await pause(random() * 500)
        // Each kind once, then whoever it hits.
        const killed = kills.gateway + kills.device + kills.server
        await murder[victims[killed < victims.length ? killed : Math.floor(random() * victims.length)]!]()
      }
    })()
    for (const n of pictures) await press(n)
    await chaos
    const wanted = new Set(pictures.map((n) => sha256(pictureOf(seed, n))))
    let last: Awaited<ReturnType<DeviceChild['report']>> | undefined
    await until(
      `the saves of card ${cards.length}`,
      async () => {
        last = await camera.report()
        const kept = last.saves.filter((save) => wanted.has(save.sha256) && save.state === 'kept')
        return kept.length >= wanted.size && last.conditions === wanted.size
      },
      60_000,
    ).catch((error) => {
      t.comment(
        JSON.stringify({
          ...last,
          saves: last?.saves.filter(({ state }) => state !== 'kept'),
          kept: last?.saves.length,
        }),
      )
      throw error
    })
    camera.remove()
  }
  t.comment(`killed: gateway ${kills.gateway}, device ${kills.device}, data servers ${kills.server}`)
  t.ok(kills.gateway > 0 && kills.device > 0 && kills.server > 0, 'every kind of process was killed')

  t.equal(camera.crashes, 0, 'the device ended only when it was killed')

  const report = await until('an empty outbox', async () => {
    const now = await camera.report()
    return now.waitingActs === 0 ? now : undefined
  })
  t.equal(report.saves.length, saves, 'every save is known, none twice')
  t.same(
    report.saves.filter((save) => save.state !== 'kept'),
    [],
    'every save is kept',
  )
  t.equal(new Set(report.saves.map((save) => save.sha256)).size, saves, 'each picture once')
  t.equal(report.spooled, 0, 'the device deleted its copies')

  const printer = site.boards.get('printer')!
  const ports = {
    link: printer.runtime.link,
    device: printer.runtime.identity.device,
    log: quietLog,
    clock: systemClock,
    random: systemRandom,
  }
  let read = 0
  for (const { card, pictures } of cards) {
    printer.board.reader.insert(card)
    const present = await until('the card at the printer', () => printer.runtime.presence?.card)
    // The gateway was killed a moment ago, and the printer may still be on its way back to it.
    await until('the printer’s line', () => printer.runtime.link.up)
    const shelf = await printer.runtime.printer!.list(pin)
    t.equal(shelf.length, pictures.length, 'a card knows what its member saved')
    for (const n of pictures) {
      const bytes = pictureOf(seed, n)
      const conditions = shelf.find((item) => Buffer.from(item.sha256).toString('hex') === sha256(bytes))
      if (!conditions) {
        t.fail(`picture ${n} is not on its card`)
        continue
      }
      for (const slot of [1, 2]) {
        const fetched = await fetchObject(ports, present, conditions, undefined, [slot]).catch((error) => {
          t.fail(`picture ${n}, slot ${slot}: ${error}`)
          return undefined
        })
        if (fetched && Buffer.from(fetched.bytes).equals(bytes)) read++
      }
    }
    printer.board.reader.remove()
    await until('the card to leave', () => !printer.runtime.presence?.card)
  }
  t.equal(read, 2 * saves, 'both replicas of every save open with the card and give its bytes')

  // Writings without an answer, and catalogues that no card points to any more, are destroyed in the end.
  const status = await statusReader(site)
  const most = 2 * saves + 2 * cards.length * catalogueVersions
  let held = 0
  await until(
    'nothing but what is kept on the data servers',
    async () => {
      held = (await status.read()).reduce((sum, [, { replicas }]) => sum + replicas, 0)
      return held <= most
    },
    90_000,
  ).catch(() => undefined)
  status.close()
  t.ok(held >= 2 * saves && held <= most, `${held} replicas on the data servers for ${saves} saves`)
})
