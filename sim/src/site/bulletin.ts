/**
 * What the page shows, and what a person may do there. The state is read from the running site, never invented: displays
 * show what the boards' displays show, saves are the devices' own, servers tell their own status.
 */
import { readFile } from 'node:fs/promises'
import { encodePng } from '@azukari/boards/png'
import type { Shown } from '@azukari/device/drivers'
import { encodeJpeg, shrink } from '@azukari/device/picture'
import type { Save } from '@azukari/device/saves'
import { distanceKm } from '@azukari/gateway/services/placement/geography'
import type { RiskReport } from '@azukari/gateway/services/placement/risk-report'
import { findingText } from '@azukari/protocol/finding-text'
import { describe, isProblem, Problem } from '@azukari/protocol/problem'
import type { VirtualCard } from '../card/virtual-card.ts'
import { cycloneGone, cycloneOver } from './placement-demo/documents.ts'
import { positionOf } from './places.ts'
import { statusReader } from './server-status.ts'
import { pin, type SimulatedSite, type SiteBoard } from './site.ts'

export interface Action {
  action: string
  target: string
  object?: string
}

const linesKept = 200
const printsKept = 24
/** Risks and places change without the boards' doing. */
const lookMs = 2_000
const standingMost = 2_000
/** From which probability of loss on a hazard is shown as one that arrives. */
const shownLoss = 0.005
/** How long before a forecast cyclone arrives. */
const stormInMs = 6 * 3_600_000

/** A replica of an object, as placement has it. */
interface Standing {
  slot: number
  server: string
  algorithm: string
}

interface Print {
  name: string
  page: string
}

export class Bulletin {
  readonly #site: SimulatedSite
  readonly #say: (line: string) => void
  readonly #lines: { at: string; text: string }[] = []
  readonly #pictures = new Map<string, Uint8Array>()
  readonly #prints: Print[] = []
  readonly #shelves = new Map<string, { object: string; name: string }[]>()
  readonly #listeners = new Set<() => void>()
  readonly #usedBytes = new Map<string, number>()
  /** Where each object lies now, by its id in hex: what a receipt said may have moved since. */
  #standing = new Map<string, Standing[]>()
  #risks = new Map<string, RiskReport['servers'][number]>()
  /** Cyclones that were forecast here, by the server that each heads for. */
  readonly #storms = new Map<string, string>()
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> | undefined
  #status: Awaited<ReturnType<typeof statusReader>> | undefined
  #card: VirtualCard | undefined
  /** Which board the member's card is in. */
  #cardIn: string | undefined
  #saves: (Save & { device: string })[] = []
  #language: 'ja' | 'en' = 'en'
  #nextPicture = 0
  #nextStorm = 0

  constructor(site: SimulatedSite, say: (line: string) => void) {
    this.#site = site
    this.#say = say
  }

  /** Issues the member's card and begins to watch the boards. */
  async begin(): Promise<void> {
    this.#card = await this.#site.issueCard('Hanako')
    this.#status = await statusReader(this.#site)
    for (const [id, board] of this.#site.boards) this.#watch(id, board)
    this.#line('Hanako has a card (PIN 2468). Put it into the camera.')
    await this.#look()
    this.#timer = setInterval(() => void this.#look(), lookMs)
  }

  async end(): Promise<void> {
    clearInterval(this.#timer)
    await this.#looking
    this.#status?.close()
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  picture(name: string): Uint8Array | undefined {
    return this.#pictures.get(name)
  }

  /** Does what a person pressed. @throws {Problem} */
  async act({ action, target, object }: Action): Promise<void> {
    if (action === 'language') {
      this.#language = target === 'ja' ? 'ja' : 'en'
      return
    }
    if (action === 'server') return this.#toggleServer(target)
    if (action === 'storm') return this.#toggleStorm(target)
    const board = this.#site.boards.get(target)
    if (!board) throw new Problem('config.invalid', `no board ${target}`)
    switch (action) {
      case 'insert':
        return this.#insert(target, board)
      case 'remove':
        return this.#remove()
      case 'shutter':
        this.#line('The shutter is pressed')
        return void board.board.panel.press('shutter')
      case 'list':
        return this.#list(target, board)
      case 'print':
        return this.#print(board, object ?? '')
      case 'paper':
        board.board.printer!.sheets = board.board.printer!.sheets > 0 ? 0 : Number.POSITIVE_INFINITY
        return this.#changed()
      case 'network':
        board.tap.isCut ? board.tap.join() : board.tap.cut()
        return this.#line(`The line of the ${board.place.name.toLowerCase()} is ${board.tap.isCut ? 'cut' : 'joined'}`)
      default:
        throw new Problem('config.invalid', `no action ${action}`)
    }
  }

  /** All that the page shows. */
  state(): unknown {
    const kept = this.#saves.filter((save) => save.state === 'kept').length
    return {
      summary:
        this.#language === 'ja'
          ? `データサーバ ${this.#site.servers.size}台、端末 ${this.#site.boards.size}台、保存済み ${kept}件`
          : `${this.#site.servers.size} data servers, ${this.#site.boards.size} boards, ${kept} kept in two places each`,
      devices: [...this.#site.boards].map(([id, board]) => this.#deviceState(id, board)),
      servers: [...this.#site.servers.values()].map(({ place, process }) => {
        const { id, name, region, latitude, longitude } = place
        const risk = this.#risks.get(id)
        const arriving = risk?.terms.find(
          ({ hazard, arrivesMs, loss }) => hazard !== undefined && arrivesMs !== undefined && loss >= shownLoss,
        )
        return {
          id,
          name,
          region,
          latitude,
          longitude,
          up: process !== undefined,
          risk: risk?.risk,
          why: risk?.terms.map((term) => `${term[this.#language]} (${term.source})`).join('\n'),
          arrivesMs: arriving?.arrivesMs,
          storm: this.#storms.has(id),
          replicas: [...this.#standing.values()].flat().filter(({ server }) => server === id).length,
          usedBytes: this.#usedBytes.get(id) ?? 0,
        }
      }),
      saves: this.#saves.map((save) => ({
        name: save.name,
        sizeBytes: save.sizeBytes,
        state: save.state,
        device: save.device,
        progress: save.progress,
        problem: save.problem && describe(save.problem, this.#language).title,
        replicas: save.state === 'kept' ? this.#placesOf(save) : undefined,
      })),
      prints: this.#prints,
      log: this.#lines,
    }
  }

  #deviceState(id: string, { place, runtime, board, tap }: SiteBoard): unknown {
    const { latitude, longitude, name } = positionOf(place.region)
    const shown = board.display.current ?? { lines: ['Please insert your card'] }
    const shownPicture = shown.picture ? `/picture/display-${id}` : undefined
    return {
      id,
      kind: place.role,
      name: place.name,
      place: name,
      latitude,
      longitude,
      link: runtime.link.state,
      waiting: this.#saves.filter((save) => save.device === id && save.state !== 'kept' && save.state !== 'refused')
        .length,
      card: this.#cardIn === id,
      cut: tap.isCut,
      paper: (board.printer?.sheets ?? 1) > 0,
      shelf: this.#shelves.get(id),
      display: { lines: shown.lines, tone: shown.tone, picture: shownPicture },
    }
  }

  #watch(id: string, { runtime, board, place }: SiteBoard): void {
    board.display.onShown = (shown) => this.#onShown(id, shown)
    runtime.link.onState((state, why) => {
      if (why && state === 'waiting')
        this.#line(`${place.name}: no line (${describe(why.code, this.#language).title.toLowerCase()})`)
      else if (state === 'up') this.#line(`${place.name}: connected`)
      else this.#changed()
    })
    runtime.saves.onChange((save) => {
      if (save.state === 'kept' && save.receipt)
        this.#line(
          `${save.name} is kept in ${save.receipt.replicas.map((replica) => `${replica.server} (${replica.distanceKm} km away)`).join(' and ')}`,
        )
      else if (save.state === 'refused' && save.problem)
        this.#line(`${save.name} was refused: ${describe(save.problem, this.#language).title}`)
      void this.#look()
    })
    runtime.presence?.onNews((news) => {
      if (news.type === 'session')
        this.#line(`${place.name}: ${news.session.name}'s card and placement know each other`)
      else if (news.type === 'written') this.#line(`${place.name}: the card now knows ${news.count} more`)
      else if (news.type === 'findings')
        for (const finding of news.findings) this.#line(`${place.name}: ${findingText(finding, this.#language)}`)
      else if (news.type === 'problem')
        this.#line(`${place.name}: ${describe(news.problem.code, this.#language).title}`)
      else this.#changed()
    })
  }

  #onShown(id: string, shown: Shown): void {
    if (shown.picture) this.#pictures.set(`display-${id}`, encodeJpeg(shrink(shown.picture, 240)))
    this.#changed()
  }

  #insert(id: string, { board, place }: SiteBoard): void {
    if (this.#cardIn) this.#remove()
    this.#cardIn = id
    board.reader.insert(this.#card!)
    this.#line(`Hanako puts her card into the ${place.name.toLowerCase()} in ${positionOf(place.region).name}`)
  }

  #remove(): void {
    const id = this.#cardIn
    this.#cardIn = undefined
    if (!id) return
    this.#shelves.delete(id)
    this.#site.boards.get(id)!.board.reader.remove()
    this.#line('The card is out')
  }

  async #list(id: string, { runtime }: SiteBoard): Promise<void> {
    const items = runtime.printer ? await runtime.printer.list(pin) : await runtime.terminal!.whatDoIHave(pin)
    this.#shelves.set(
      id,
      items.map((item) => ({ object: Buffer.from(item.object).toString('hex'), name: item.name })),
    )
    this.#line(
      `The card knows ${items.length}: ${items
        .map((item) => item.name)
        .slice(0, 5)
        .join(', ')}${items.length > 5 ? ' …' : ''}`,
    )
  }

  async #print({ runtime, board }: SiteBoard, object: string): Promise<void> {
    if (!/^[0-9a-f]{32}$/.test(object)) throw new Problem('object.unknown')
    this.#line('Printing')
    try {
      const printed = await runtime.printer!.print(Buffer.from(object, 'hex'), { pin })
      const page = board.printer!.pages.at(-1)!
      const name = `page-${++this.#nextPicture}`
      this.#pictures.set(name, encodePng(shrink(page.page, 480)))
      this.#prints.unshift({ name: page.title, page: `/picture/${name}` })
      for (const gone of this.#prints.splice(printsKept)) this.#pictures.delete(gone.page.slice('/picture/'.length))
      this.#line(`Printed ${page.title}, fetched from ${printed.server}`)
    } catch (error) {
      await runtime.printer!.showProblem(error)
      this.#line(`Not printed: ${describe(isProblem(error) ? error.code : 'internal', this.#language).title}`)
    }
  }

  /** Where a save lies now, or did when its receipt was written. */
  #placesOf({ object, receipt, device }: Save & { device: string }) {
    const region = this.#site.boards.get(device)?.place.region
    const standing = this.#standing.get(Buffer.from(object).toString('hex'))
    return standing && region
      ? standing.map(({ server, algorithm }) => {
          const { place } = this.#site.servers.get(server)!
          return {
            server,
            region: place.region,
            algorithm,
            distanceKm: Math.round(distanceKm(positionOf(region), place)),
          }
        })
      : receipt?.replicas.map(({ server, region, distanceKm, algorithm }) => ({
          server,
          region,
          distanceKm,
          algorithm,
        }))
  }

  /** A cyclone is forecast for a server, or called off by its agency. */
  async #toggleStorm(id: string): Promise<void> {
    const server = this.#site.servers.get(id)
    if (!server) throw new Problem('config.invalid', `no server ${id}`)
    const known = this.#storms.get(id)
    if (known) {
      this.#storms.delete(id)
      await this.#site.pushHazard(cycloneGone(known, Date.now()), 'json')
      return this.#line(`The cyclone for ${server.place.name} is called off`)
    }
    const name = `${server.place.name}-${++this.#nextStorm}`
    this.#storms.set(id, name)
    await this.#site.pushHazard(cycloneOver(name, server.place, Date.now(), stormInMs), 'json')
    this.#line(`A cyclone is forecast for ${server.place.name}: it arrives in ${stormInMs / 3_600_000} hours`)
  }

  async #toggleServer(id: string): Promise<void> {
    const server = this.#site.servers.get(id)
    if (!server) throw new Problem('config.invalid', `no server ${id}`)
    if (server.process) {
      const process = server.process
      server.process = undefined
      this.#line(`The data server in ${server.place.name} is stopped`)
      await process.stop()
    } else {
      await this.#site.startServer(server.place)
      this.#line(`The data server in ${server.place.name} runs again`)
    }
  }

  /** Reads the devices' saves, the servers' status, the risks and where everything lies anew. */
  #look(): Promise<void> {
    this.#looking ??= this.#read()
      // A site that is just starting, stopping or broken is looked at again.
      .catch(() => undefined)
      .finally(() => {
        this.#looking = undefined
        this.#changed()
      })
    return this.#looking
  }

  async #read(): Promise<void> {
    const all = await Promise.all(
      [...this.#site.boards].map(async ([id, { runtime }]) =>
        (await runtime.saves.list(50)).map((save) => ({ ...save, device: id })),
      ),
    )
    this.#saves = all.flat().sort((a, b) => b.takenMs - a.takenMs)
    for (const [id, { usedBytes }] of (await this.#status?.read()) ?? []) this.#usedBytes.set(id, usedBytes)
    this.#stand()
    for (const risk of (await this.#site.risks()).servers) this.#risks.set(risk.server, risk)
  }

  /** Where everything lies now; what has moved is told. */
  #stand(): void {
    const standing = new Map<string, Standing[]>()
    for (const { object, ...replica } of this.#site.rows<Standing & { object: Uint8Array }>(
      'SELECT object, slot, server, algorithm FROM replicas WHERE root IS NOT NULL ORDER BY object, slot LIMIT ?',
      standingMost,
    )) {
      const id = Buffer.from(object).toString('hex')
      standing.set(id, [...(standing.get(id) ?? []), replica])
    }
    for (const { object, name } of this.#saves) {
      const id = Buffer.from(object).toString('hex')
      const [before, now] = [this.#standing.get(id), standing.get(id)]
      if (before?.length !== 2 || now?.length !== 2 || before.every(({ server }, at) => server === now[at]!.server))
        continue
      this.#line(`${name} has moved: it is now kept in ${now.map(({ server }) => server).join(' and ')}`)
    }
    this.#standing = standing
  }

  #line(text: string): void {
    this.#lines.unshift({ at: new Date().toTimeString().slice(0, 8), text })
    this.#lines.splice(linesKept)
    this.#say(text)
    this.#changed()
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }
}

/** A file of the page's own. */
export function pageFile(name: string): Promise<Uint8Array> {
  return readFile(new URL(`./page/${name}`, import.meta.url))
}
