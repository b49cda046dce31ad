/**
 * What the page shows, and what a person may do there. The state is read from the running site, never invented: displays
 * show what the boards' displays show, saves are the devices' own, servers tell their own status.
 */
import { readFile } from 'node:fs/promises'
import { encodePng } from '@azukari/boards/png'
import { wordsOf } from '@azukari/device/apps/words'
import type { Shown } from '@azukari/device/drivers'
import { encodeJpeg, shrink } from '@azukari/device/picture'
import { findingText, type Language } from '@azukari/protocol/finding-text'
import { describe, isProblem, Problem } from '@azukari/protocol/problem'
import { cycloneGone, cycloneOver } from '../demo/placement/documents.ts'
import type { VirtualCard } from '../testkit/card/virtual-card.ts'
import { positionOf } from '../testkit/places.ts'
import { Keeping } from './keeping.ts'
import { gatewayCommand } from './processes.ts'
import { pin, type SimulatedSite, type SiteBoard } from './site.ts'
import { nameOf, regionName, type Said, say } from './words.ts'

export interface Action {
  action: string
  target: string
  object?: string
  /** What the person types when the board asks for the PIN. */
  pin?: string
}

const linesKept = 200
const printsKept = 24
/** Risks and places change without the boards' doing. */
const lookMs = 2_000
/** How long before a forecast cyclone arrives. */
const stormInMs = 6 * 3_600_000

/** Of Hanako's card; in real life it comes by letter. */
const puk = '13572468'

interface Print {
  name: string
  page: string
}

export class Bulletin {
  readonly #site: SimulatedSite
  readonly #say: (line: string) => void
  readonly #lines: { at: string; text: Said }[] = []
  readonly #pictures = new Map<string, Uint8Array>()
  readonly #prints: Print[] = []
  readonly #shelves = new Map<string, { object: string; name: string }[]>()
  readonly #listeners = new Set<() => void>()
  readonly #keeping: Keeping
  /** Cyclones that were forecast here, by the server that each heads for. */
  readonly #storms = new Map<string, string>()
  #timer: NodeJS.Timeout | undefined
  #looking: Promise<void> | undefined
  #card: VirtualCard | undefined
  /** Which board the member's card is in. */
  #cardIn: string | undefined
  /** What is being done at a board now, so that nobody has to press twice. */
  readonly #doing = new Map<string, string>()
  /** Boards whose lost line was told already. */
  readonly #offline = new Set<string>()
  #typed = pin
  /** Times that the PIN is typed at the button that was pressed. */
  #tries = 0
  /** The card has taken the PIN since it was put in: it asks no more. */
  #pinTaken = false
  #nextPicture = 0
  #nextStorm = 0

  constructor(site: SimulatedSite, say: (line: string) => void) {
    this.#site = site
    this.#keeping = new Keeping(site)
    this.#say = say
  }

  /** Issues the member's card and begins to watch the boards. */
  async begin(): Promise<void> {
    this.#card = await this.#site.issueCard('Hanako', { puk })
    await this.#keeping.begin()
    for (const [id, board] of this.#site.boards) this.#watch(id, board)
    this.#line({
      en: `Hanako has a card (PIN ${pin}). Put it into the camera.`,
      ja: `花子さんのカードがあります（暗証番号 ${pin}）。カメラに入れてください。`,
    })
    await this.#look()
    this.#timer = setInterval(() => void this.#look(), lookMs)
  }

  async end(): Promise<void> {
    clearInterval(this.#timer)
    await this.#looking
    this.#keeping.end()
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  picture(name: string): Uint8Array | undefined {
    return this.#pictures.get(name)
  }

  /** Does what a person pressed. @throws {Problem} */
  async act({ action, target, object, pin: typed }: Action): Promise<void> {
    if (action === 'language') return this.#setLanguage(target === 'ja' ? 'ja' : 'en')
    if (action === 'server') return this.#toggleServer(target)
    if (action === 'storm') return this.#toggleStorm(target)
    const board = this.#card && this.#site.boards.get(target)
    if (!board) throw new Problem('config.invalid', `no board ${target}`)
    if (typed !== undefined) this.#typed = typed
    switch (action) {
      case 'insert':
        return this.#insert(target, board)
      case 'remove':
        return this.#remove()
      case 'shutter':
        this.#line({ en: 'The shutter is pressed', ja: 'シャッターを押しました' })
        this.#tries = 1
        return void board.board.panel.press('shutter')
      case 'list':
        return this.#at(target, action, () => this.#list(target, board))
      case 'print':
        return this.#at(target, action, () => this.#print(board, object ?? ''))
      case 'unblock':
        return this.#at(target, action, () => this.#unblock(board))
      case 'paper':
        board.board.printer!.sheets = board.board.printer!.sheets > 0 ? 0 : Number.POSITIVE_INFINITY
        return this.#changed()
      case 'network':
        board.tap.isCut ? board.tap.join() : board.tap.cut()
        return this.#line({
          en: `The line of the ${board.place.name.toLowerCase()} is ${board.tap.isCut ? 'cut' : 'joined'}`,
          ja: `${nameOf(board.place.name).ja}の回線を${board.tap.isCut ? '切りました' : 'つなぎました'}`,
        })
      default:
        throw new Problem('config.invalid', `no action ${action}`)
    }
  }

  /** All that the page shows, in the language of whoever looks. */
  state(language: Language): unknown {
    const kept = this.#keeping.saves.filter((save) => save.state === 'kept').length
    return {
      summary: !this.#card
        ? { en: 'The site is starting …', ja: 'サイトを起動しています…' }[language]
        : language === 'ja'
          ? `データサーバ ${this.#site.servers.size}台、端末 ${this.#site.boards.size}台、保存済み ${kept}件`
          : `${this.#site.servers.size} data servers, ${this.#site.boards.size} boards, ${kept} kept in two places each`,
      devices: [...(this.#card ? this.#site.boards : [])].map(([id, board]) => this.#deviceState(id, board, language)),
      servers: this.#keeping.servers(language, (id) => this.#storms.has(id)),
      saves: this.#keeping.saves.map((save) => ({
        name: save.name,
        sizeBytes: save.sizeBytes,
        state: save.state,
        device: save.device,
        progress: save.progress,
        problem: save.problem && describe(save.problem, language).title,
        replicas: save.state === 'kept' ? this.#keeping.placesOf(save, language) : undefined,
      })),
      prints: this.#prints,
      log: this.#lines.map(({ at, text }) => ({ at, text: text[language] })),
    }
  }

  #deviceState(id: string, { place, runtime, board, tap }: SiteBoard, language: Language): unknown {
    const { latitude, longitude } = positionOf(place.region)
    const shown = board.display.current ?? { lines: [wordsOf(() => runtime.caretaker.language).insertCard] }
    const card = this.#cardIn === id
    const shownPicture = shown.picture ? `/picture/display-${id}` : undefined
    return {
      id,
      kind: place.role,
      name: nameOf(place.name)[language],
      place: regionName(place.region)[language],
      latitude,
      longitude,
      link: runtime.link.state,
      waiting: this.#keeping.saves.filter(
        (save) => save.device === id && save.state !== 'kept' && save.state !== 'refused',
      ).length,
      card,
      asksPin: card && !this.#pinTaken && !this.#blocked,
      blocked: card && this.#blocked,
      doing: this.#doing.get(id),
      cut: tap.isCut,
      paper: (board.printer?.sheets ?? 1) > 0,
      shelf: this.#shelves.get(id),
      display: { lines: shown.lines, tone: shown.tone, picture: shownPicture },
    }
  }

  #watch(id: string, { runtime, board, place }: SiteBoard): void {
    board.display.onShown = (shown) => this.#onShown(id, shown)
    runtime.link.onState((state, why) => {
      // It tries again and again; that it has no line is said once.
      if (why && state === 'waiting' && !this.#offline.has(id)) {
        this.#offline.add(id)
        this.#line(say((to) => `${nameOf(place.name)[to]}${to === 'ja' ? '：' : ': '}${describe(why.code, to).title}`))
      } else if (state === 'up') {
        this.#offline.delete(id)
        this.#line({ en: `${place.name}: connected`, ja: `${nameOf(place.name).ja}：つながりました` })
      } else this.#changed()
    })
    runtime.saves.onChange((save) => {
      if (save.state === 'kept' && save.receipt) this.#line(this.#keeping.keptLine(save.name, save.receipt.replicas))
      else if (save.state === 'refused' && save.problem) {
        const { problem } = save
        this.#line({
          en: `${save.name} was refused: ${describe(problem, 'en').title}`,
          ja: `${save.name} は断られました：${describe(problem, 'ja').title}`,
        })
      } else if (save.state === 'here' && this.#cardIn === id) this.#pinTaken = true
      void this.#look()
    })
    runtime.presence?.onNews((news) => {
      if (news.type === 'session')
        this.#line({
          en: `${place.name}: ${news.session.name}'s card and placement know each other`,
          ja: `${nameOf(place.name).ja}：${news.session.name}さんのカードと配置サービスが互いを確かめました`,
        })
      else if (news.type === 'written')
        this.#line({
          en: `${place.name}: the card now knows ${news.count} more`,
          ja: `${nameOf(place.name).ja}：カードに${news.count}件書き足しました`,
        })
      else if (news.type === 'findings')
        for (const finding of news.findings)
          this.#line(say((to) => `${nameOf(place.name)[to]}${to === 'ja' ? '：' : ': '}${findingText(finding, to)}`))
      else if (news.type === 'problem')
        this.#line(
          say((to) => `${nameOf(place.name)[to]}${to === 'ja' ? '：' : ': '}${describe(news.problem.code, to).title}`),
        )
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
    this.#pinTaken = false
    // Who has been told that it was wrong looks it up rather than type it again.
    board.panel.person = () => (this.#tries-- > 0 ? this.#typed : undefined)
    board.reader.insert(this.#card!)
    const where = regionName(place.region)
    this.#line({
      en: `Hanako puts her card into the ${place.name.toLowerCase()} in ${where.en}`,
      ja: `花子さんがカードを${where.ja}の${nameOf(place.name).ja}に入れました`,
    })
  }

  #remove(): void {
    const id = this.#cardIn
    this.#cardIn = undefined
    if (!id) return
    this.#shelves.delete(id)
    this.#site.boards.get(id)!.board.reader.remove()
    this.#line({ en: 'The card is out', ja: 'カードを抜きました' })
  }

  /** Does one thing at a board; until it is done the page offers it no second time. */
  async #at(id: string, what: string, work: () => Promise<void>): Promise<void> {
    if (this.#doing.has(id)) throw new Problem('part.busy', `${id} is doing ${this.#doing.get(id)}`)
    this.#doing.set(id, what)
    this.#changed()
    try {
      await work()
    } finally {
      this.#doing.delete(id)
      this.#changed()
    }
  }

  async #list(id: string, { runtime, place }: SiteBoard): Promise<void> {
    const items = await (runtime.printer
      ? runtime.printer.list(this.#typed)
      : runtime.terminal!.whatDoIHave(this.#typed)
    ).catch(async (error: unknown) => {
      await (runtime.printer ?? runtime.terminal)!.showProblem(error)
      this.#line(say((to) => `${nameOf(place.name)[to]}${to === 'ja' ? '：' : ': '}${titleOf(error, to)}`))
    })
    if (!items) return
    this.#pinTaken = true
    this.#shelves.set(
      id,
      items.map((item) => ({ object: Buffer.from(item.object).toString('hex'), name: item.name })),
    )
    const names = `${items
      .slice(0, 5)
      .map((item) => item.name)
      .join(', ')}${items.length > 5 ? ' …' : ''}`
    this.#line({
      en: `The card knows ${items.length}${names && `: ${names}`}`,
      ja: `カードには${items.length}件あります${names && `：${names}`}`,
    })
  }

  async #print({ runtime, board }: SiteBoard, object: string): Promise<void> {
    if (!/^[0-9a-f]{32}$/.test(object)) throw new Problem('object.unknown')
    this.#line({ en: 'Printing', ja: '印刷しています' })
    try {
      const printed = await runtime.printer!.print(Buffer.from(object, 'hex'), { pin: this.#typed })
      this.#pinTaken = true
      const page = board.printer!.pages.at(-1)!
      const name = `page-${++this.#nextPicture}`
      this.#pictures.set(name, encodePng(shrink(page.page, 480)))
      this.#prints.unshift({ name: page.title, page: `/picture/${name}` })
      for (const gone of this.#prints.splice(printsKept)) this.#pictures.delete(gone.page.slice('/picture/'.length))
      const from = this.#keeping.serverName(printed.server)
      this.#line({
        en: `Printed ${page.title}, fetched from ${from.en}`,
        ja: `${page.title} を${from.ja}から取り出して印刷しました`,
      })
    } catch (error) {
      await runtime.printer!.showProblem(error)
      this.#line({
        en: `Not printed: ${titleOf(error, 'en')}`,
        ja: `印刷できませんでした：${titleOf(error, 'ja')}`,
      })
    }
  }

  /** A cyclone is forecast for a server, or called off by its agency. */
  async #toggleStorm(id: string): Promise<void> {
    const server = this.#site.servers.get(id)
    if (!server) throw new Problem('config.invalid', `no server ${id}`)
    const known = this.#storms.get(id)
    if (known) {
      this.#storms.delete(id)
      await this.#site.pushHazard(cycloneGone(known, Date.now()), 'json')
      return this.#line({
        en: `The cyclone for ${server.place.name} is called off`,
        ja: `${nameOf(server.place.name).ja}への台風の予報を取り消しました`,
      })
    }
    const name = `${server.place.name}-${++this.#nextStorm}`
    this.#storms.set(id, name)
    await this.#site.pushHazard(cycloneOver(name, server.place, Date.now(), stormInMs), 'json')
    const hours = stormInMs / 3_600_000
    this.#line({
      en: `A cyclone is forecast for ${server.place.name}: it arrives in ${hours} hours`,
      ja: `${nameOf(server.place.name).ja}に台風の予報が出ました：${hours}時間後に到達します`,
    })
  }

  async #toggleServer(id: string): Promise<void> {
    const server = this.#site.servers.get(id)
    if (!server) throw new Problem('config.invalid', `no server ${id}`)
    if (server.process) {
      const process = server.process
      server.process = undefined
      this.#line({
        en: `The data server in ${server.place.name} is stopped`,
        ja: `${nameOf(server.place.name).ja}のデータサーバを止めました`,
      })
      await process.stop()
    } else {
      await this.#site.startServer(server.place)
      this.#line({
        en: `The data server in ${server.place.name} runs again`,
        ja: `${nameOf(server.place.name).ja}のデータサーバがまた動いています`,
      })
    }
  }

  /** Reads the devices' saves, the servers' status, the risks and where everything lies anew. */
  #look(): Promise<void> {
    this.#looking ??= this.#keeping
      .look()
      .then((news) => {
        for (const line of news) this.#line(line)
      })
      // A site that is just starting, stopping or broken is looked at again.
      .catch(() => undefined)
      .finally(() => {
        this.#looking = undefined
        this.#changed()
      })
    return this.#looking
  }

  get #blocked(): boolean {
    return this.#card?.triesLeft === 0
  }

  /** S15: with the PUK of the card's letter. */
  async #unblock({ runtime }: SiteBoard): Promise<void> {
    try {
      await runtime.terminal!.unblock(puk, pin)
      this.#typed = pin
      this.#line({
        en: `The card is unblocked with its PUK; the PIN is ${pin} again`,
        ja: `PUKでカードが使えるようになりました。暗証番号は ${pin} です`,
      })
    } catch (error) {
      this.#line(say((to) => titleOf(error, to)))
    }
  }

  /** What the boards' displays speak: as an operator would change it. */
  async #setLanguage(language: Language): Promise<void> {
    await Promise.all(
      [...this.#site.boards.values()].map(({ runtime }) =>
        gatewayCommand([
          'device',
          'set',
          runtime.identity.device,
          `language=${language}`,
          '--folder',
          this.#site.folder,
          '--site',
          'site',
        ]),
      ),
    )
  }

  #line(text: Said): void {
    this.#lines.unshift({ at: new Date().toTimeString().slice(0, 8), text })
    this.#lines.splice(linesKept)
    this.#say(text.en)
    this.#changed()
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }
}

function titleOf(error: unknown, language: Language): string {
  return describe(isProblem(error) ? error.code : 'internal', language).title
}

/** A file of the page's own. */
export function pageFile(name: string): Promise<Uint8Array> {
  return readFile(new URL(`./page/${name}`, import.meta.url))
}
