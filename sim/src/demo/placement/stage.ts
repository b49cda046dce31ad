/** A running site on which the parts of the demo play. */
import { fetchObject } from '@azukari/device/apps/fetch'
import type { InputFile } from '@azukari/device/drivers'
import type { Save } from '@azukari/device/saves'
import type { RiskReport } from '@azukari/gateway/services/placement/risk/report'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { hex } from '@azukari/protocol/bytes'
import type { SaveReceipt } from '@azukari/protocol/contracts/save'
import type { Log } from '@azukari/protocol/ports'
import { Checks } from '../../site/checks.ts'
import { pin, type SimulatedSite, type SiteBoard } from '../../site/site.ts'
import { until } from '../../site/wait.ts'
import type { VirtualCard } from '../../testkit/card/virtual-card.ts'

export interface PlacementDemoOptions {
  /** Where the site goes; a folder of its own by default. */
  folder?: string
  log: Log
  tell: (line: string) => void
}

export interface DemoPart {
  /** Requirements that it shows. */
  ids: readonly string[]
  run(demo: PlacementDemo): Promise<void>
}

/** A thing that a member keeps, for parts to follow. */
export interface Kept {
  name: string
  bytes: Uint8Array
  save: Save
  receipt: SaveReceipt
}

/** A running site with one member, whose card lies in the camera, and what parts need of it. */
export class PlacementDemo {
  readonly site: SimulatedSite
  readonly checks = new Checks()
  readonly tell: (line: string) => void
  readonly log: Log
  /** Everything kept so far. */
  readonly kept: Kept[] = []
  #card: VirtualCard | undefined

  constructor(site: SimulatedSite, { tell, log }: PlacementDemoOptions) {
    this.site = site
    this.tell = tell
    this.log = log
  }

  get camera(): SiteBoard {
    return this.site.boards.get('camera')!
  }

  get printer(): SiteBoard {
    return this.site.boards.get('printer')!
  }

  get terminal(): SiteBoard {
    return this.site.boards.get('terminal')!
  }

  /** The member's card, issued when it is first needed. */
  async card(): Promise<VirtualCard> {
    this.#card ??= await this.site.issueCard('Hanako')
    return this.#card
  }

  /** The card goes into a board, out of any other, and its session stands. */
  async insert(board: SiteBoard): Promise<void> {
    const card = await this.card()
    for (const other of this.site.boards.values()) {
      other.board.reader.remove()
      await until('the card to leave', () => !other.runtime.presence?.card)
    }
    board.board.reader.insert(card)
    await until('the member’s session', () => board.runtime.presence?.card?.session)
  }

  /** Keeps a file of the member through the camera, whose card must be in it. */
  async keep(name: string, bytes: Uint8Array): Promise<Kept> {
    const { camera, saves } = this.camera.runtime
    const save = await camera!.keepFile(inputFile(name, bytes), pin)
    const done = await until(
      `the receipt of ${name}`,
      async () => (await saves.list(200)).find((one) => hex(one.object) === hex(save.object) && one.state === 'kept'),
      60_000,
    )
    const kept = { name, bytes, save: done, receipt: done.receipt! }
    this.kept.push(kept)
    this.tell(`  ${name} is kept in ${kept.receipt.replicas.map(({ server }) => server).join(' and ')}`)
    return kept
  }

  async riskOf(server: string): Promise<RiskReport['servers'][number]> {
    return (await this.site.risks()).servers.find((one) => one.server === server)!
  }

  /** Where an object's replicas are now, by slot. */
  async standing(object: Uint8Array): Promise<{ slot: number; server: string; epoch: number }[]> {
    return this.site.rows('SELECT slot, server, epoch FROM replicas WHERE object = ? ORDER BY slot', object)
  }

  /** What the member's card in a board knows of an object, and whether it comes back byte for byte. */
  async fetched(board: SiteBoard, one: Kept): Promise<{ servers: string[]; equal: boolean }> {
    const { runtime } = board
    const conditions = (await runtime.printer!.list(pin)).find((item) => hex(item.object) === hex(one.save.object))
    if (!conditions) return { servers: [], equal: false }
    const ports = { clock: systemClock, random: systemRandom, link: runtime.link, log: this.log }
    const card = runtime.presence!.require()
    const { bytes } = await fetchObject({ ...ports, device: runtime.identity.device }, card, conditions)
    return { servers: conditions.replicas.map(({ server }) => server), equal: Buffer.from(bytes).equals(one.bytes) }
  }
}

function inputFile(name: string, bytes: Uint8Array): InputFile {
  return {
    name,
    mediaType: 'application/octet-stream',
    sizeBytes: bytes.length,
    read: async (at, length) => bytes.subarray(at, at + length),
    done: async () => undefined,
  }
}
