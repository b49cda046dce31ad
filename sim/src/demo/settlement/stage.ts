/**
 * The site of the settlement demo: the real gateway with placement and settlement, two terminals over real MQTT, a card, and
 * a bank and a card company as processes of their own.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { openDeviceDatabase } from '@azukari/device/adapters/database'
import { mqttTransport } from '@azukari/device/adapters/mqtt'
import type { PayApp } from '@azukari/device/apps/pay'
import { type CentreKeys, centreKeys, PayMember, sealApplication } from '@azukari/device/pay/member'
import { Runtime } from '@azukari/device/runtime'
import { cardShare } from '@azukari/device/vault/card-share'
import { makeSeed } from '@azukari/device/vault/seed'
import { type OpenVault, passwordBytes, Vault } from '@azukari/device/vault/vault'
import { type RunningGateway, runGateway } from '@azukari/gateway/host/run-gateway'
import { initPlacement } from '@azukari/gateway/services/placement/main'
import { placement as placementModule } from '@azukari/gateway/services/placement/module'
import type { Placement } from '@azukari/gateway/services/placement/service'
import { settlement as settlementModule } from '@azukari/gateway/services/settlement/module'
import type { Settlement } from '@azukari/gateway/services/settlement/service'
import { SiteFolder } from '@azukari/gateway/site-folder'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import {
  apply,
  type MemberKind,
  type Person,
  readGuide,
  register,
} from '@azukari/protocol/contracts/settlement-members'
import type { Log } from '@azukari/protocol/ports'
import { until } from '../../site/wait.ts'
import { type SimulatedBoard, simulatedBoard } from '../../testkit/boards/index.ts'
import { issueCard, type VirtualCard } from '../../testkit/card/virtual-card.ts'
import { codesOf, ownAccount } from '../../testkit/settlement/fixture.ts'
import { Partner } from '../../testkit/settlement/partners.ts'
import { TurnedClock } from './turned-clock.ts'

export const pin = '2468'
const site = 'site'

export interface Terminal {
  runtime: Runtime
  board: SimulatedBoard
  folder: string
  pay: PayApp
}

/** A member as the demo plays one: the vault is open, and password B is typed whenever something is signed. */
export interface DemoMember {
  number: string
  terminal: Terminal
  vault: OpenVault
  passwordB: Uint8Array
}

export class SettlementStage {
  readonly folder: string
  readonly clock = new TurnedClock()
  readonly ports = { clock: this.clock, random: systemRandom, files: systemFiles() }
  readonly #log: Log
  readonly #more: { webhooks?: { hosts: string[] } }
  readonly #terminals: Terminal[] = []
  #documents = 0
  bank!: Partner
  cardCompany!: Partner
  gateway!: RunningGateway
  centre!: CentreKeys
  terms = ''

  /** @param more settings of settlement */
  constructor(folder: string, log: Log, more: { webhooks?: { hosts: string[] } } = {}) {
    this.folder = folder
    this.#log = log
    this.#more = more
  }

  get settlement(): Settlement {
    return this.gateway.open(settlementModule).service
  }

  get placement(): Placement {
    return this.gateway.open(placementModule).service
  }

  async start(): Promise<void> {
    await mkdir(`${this.folder}/documents`, { recursive: true })
    this.bank = await Partner.start('bank')
    this.cardCompany = await Partner.start('card-company')
    const settings = {
      issuer: { name: 'Azukari 決済センタ', invoiceNumber: 'T9876543210987' },
      own: ownAccount,
      cardCompany: { url: this.cardCompany.url, key: 'demo' },
      // The demo closes when it has come to that.
      billing: { closing: 'by-command' },
      ...this.#more,
    }
    await writeFile(`${this.folder}/settlement.json`, JSON.stringify(settings))
    await initPlacement(new SiteFolder(this.folder, site, this.ports), this.ports)
    this.gateway = await runGateway({
      site,
      folder: this.folder,
      version: '0.1.0',
      host: '127.0.0.1',
      port: 0,
      ports: this.ports,
      log: this.#log,
      healthPort: 0,
      https: { host: '127.0.0.1', port: 0 },
      enrolment: { host: '127.0.0.1', port: 0 },
    })
  }

  async terminal(id: string): Promise<Terminal> {
    const folder = `${this.folder}/devices/${id}`
    await mkdir(folder, { recursive: true })
    const board = simulatedBoard({ ...this.ports, model: 'azukari-simulated-terminal', panel: { person: () => pin } })
    const runtime = new Runtime(
      {
        site,
        roles: ['terminal'],
        model: board.model,
        version: '0.1.0',
        folder,
        claim: await this.gateway.gateway.newClaim({ region: 'JP-13', lifeMs: 3_600_000 }),
      },
      {
        ...this.ports,
        database: await openDeviceDatabase(`${folder}/device.db`),
        transport: mqttTransport({ url: `mqtt://127.0.0.1:${this.gateway.port}` }),
        log: this.#log.child({ board: id }),
      },
      board,
    )
    await runtime.start()
    await until(`${id} on the line`, () => runtime.link.up)
    const terminal = { runtime, board, folder, pay: runtime.pay! }
    this.#terminals.push(terminal)
    if (!this.centre) {
      const guide = await runtime.link.call(readGuide, {})
      this.centre = centreKeys(guide)
      this.terms = guide.terms
    }
    return terminal
  }

  /** A card for placement's register and settlement's. */
  async issueCard(name: string, level: number): Promise<{ card: VirtualCard; thumbprint: Uint8Array; number: string }> {
    const { placement } = this
    const number = `A-${Date.now()}`
    const { card, registration } = issueCard({
      kind: 'ed25519',
      member: { id: systemRandom.bytes(16), number, name },
      level,
      homeRegion: 'JP-13',
      pin,
      puk: '12345678',
      providerKey: placement.keyPairs.cardKey,
      random: systemRandom,
      location: true,
    })
    await placement.registry.addMember(registration)
    return { card, thumbprint: registration.card, number }
  }

  /**
   * Enrols as the patent's figures have it: application, letter, vault with two passwords, registration that rests sealed
   * until it is sent.
   */
  async enrol(
    kind: MemberKind,
    person: Person,
    terminal: Terminal,
    card?: Uint8Array,
  ): Promise<DemoMember & { letter: string }> {
    const { random } = this.ports
    const application = sealApplication(this.centre, { kind, person, terms: this.terms }, random)
    const { application: id } = await terminal.pay.send(apply, { application })
    const { number, letter } = await this.settlement.enrolment.accept(id, 'clerk-1')
    const letterPath = await this.keep(letter)
    const { code } = codesOf((await this.settlement.document(letter))!.content)

    const presence = terminal.runtime.presence?.card
    const share =
      card && presence
        ? cardShare(
            {
              agreement: presence.facts.keys.agreement,
              agree: async (point) => {
                await presence.requirePin(pin)
                return presence.use((client) => client.agree(point, presence.signal))
              },
            },
            random,
          )
        : undefined
    const [passwordA, passwordB] = [passwordBytes('ひらけごま 一番'), passwordBytes('correct horse battery')]
    const vault = new Vault(this.ports, `${terminal.folder}/vault`, share)
    await vault.create({
      terminal: number,
      secret: { seed: makeSeed(random) },
      passwordA,
      passwordB,
      ...(share ? { card: share } : {}),
    })
    const open = await vault.open(passwordA)
    const member: DemoMember = { number, terminal, vault: open, passwordB }
    const registration = await this.signing(member, (pay) =>
      pay.registration({ number, code, person, ...(card ? { card } : {}) }),
    )
    await open.wait({ contract: register.id, body: registration, atMs: this.clock.now() })
    await open.remember({ number })
    const waiting = open.waiting[0]!
    await terminal.pay.send(register, { registration: waiting.body })
    await open.sent(waiting)
    return { ...member, letter: letterPath }
  }

  /** Password B is typed, the keys are there for one piece of work, and gone. */
  signing<T>({ vault, passwordB }: DemoMember, work: (pay: PayMember) => T): Promise<T> {
    return vault.unlock(passwordB, (keys) => work(new PayMember(keys, this.centre, this.ports)))
  }

  /** Writes a document where people can look at it. Returns its path. */
  async keep(id: Uint8Array): Promise<string> {
    const { name, content } = (await this.settlement.document(id))!
    const path = `${this.folder}/documents/${String(++this.#documents).padStart(2, '0')}-${name}`
    await writeFile(path, content)
    return path
  }

  async stop(): Promise<void> {
    await Promise.allSettled(this.#terminals.map(({ runtime }) => runtime.stop()))
    await this.gateway?.stop()
    await this.bank?.stop()
    await this.cardCompany?.stop()
  }
}
