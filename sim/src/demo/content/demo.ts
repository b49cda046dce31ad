/**
 * `npm run demo -- content`: a provider registers a photo and a song by command; members at two sites get them, one of them twice; a
 * data server dies in the middle; a player elsewhere reads by a link. Every check is computed from what really happened.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { encodeJpeg } from '@azukari/device/picture'
import { hex } from '@azukari/protocol/bytes'
import type { ContentItem } from '@azukari/protocol/contracts/content'
import { openRecord } from '@azukari/protocol/delivery'
import { parseCoseKey } from '@azukari/protocol/keys'
import type { Log } from '@azukari/protocol/ports'
import { isProblem } from '@azukari/protocol/problem'
import { type Check, Checks } from '../../site/checks.ts'
import { type BoardMember, filesWith, type Got, memberAt, sha256 } from '../../site/content/member.ts'
import { gatewayCommand } from '../../site/processes.ts'
import { SimulatedSite } from '../../site/site.ts'
import { until } from '../../site/wait.ts'
import { drawScene } from '../../testkit/boards/scene.ts'
import { boardPlaces, places } from '../../testkit/places.ts'
import { SeededRandom } from '../../testkit/world/chance.ts'

export interface ContentDemoOptions {
  /** Where the site goes; a folder of its own by default. */
  folder?: string
  log: Log
  tell: (line: string) => void
}

interface Delivered {
  what: string
  board: string
  server: string
  from: string
  fee: string
}

interface Sum {
  ledger: string
  state: string
  charges: number
  reversals: number
  minor: number
}

export interface ContentDemoReport {
  deliveries: Delivered[]
  sums: Sum[]
  checks: Check[]
  folder: string
}

interface Entry {
  ledger: string
  server: string
  seq: number
  kind: string
  delivery: string
}

interface Proof {
  server: string
  serverKey: string
  records: { seq: number; signed: string }[]
  shares: { ledger: string; payee: string; minor: number }[]
}

const provider = '12345678901234'
const operator = '11111111111111'
const price = { photo: 300, song: 50, service: 2 }

/** Runs the demo. The site's folder stays, so that it can be looked at. */
export async function runContentDemo(options: ContentDemoOptions): Promise<ContentDemoReport> {
  const folder = options.folder ? resolve(options.folder) : await mkdtemp(join(tmpdir(), 'azukari-content-'))
  await mkdir(folder, { recursive: true })
  const shares = { content: { storage: 100, origin: 50 } }
  const settings = { serviceMinor: price.service, shares, operators: { ishikari: operator, osaka: operator } }
  await writeFile(`${folder}/content.json`, JSON.stringify(settings))
  const site = new SimulatedSite({
    folder,
    servers: places.filter(({ id }) => ['ishikari', 'osaka', 'fukuoka'].includes(id)),
    boards: boardPlaces.filter(({ role }) => role !== 'camera'),
    gatewayArgs: ['--https-port', '0'],
    log: options.log,
    tell: options.tell,
  })
  try {
    await site.start()
    return await new ContentDemo(site, options.tell).run()
  } finally {
    options.tell('Stopping the site')
    await site.stop()
  }
}

class ContentDemo {
  readonly #site: SimulatedSite
  readonly #tell: (line: string) => void
  readonly #checks = new Checks()
  readonly #deliveries: Delivered[] = []
  readonly #photo = encodeJpeg(drawScene(new SeededRandom(14), 1_600, 1_200), 95)
  /** Of the member for whom the link was made. */
  readonly #playerCard = randomBytes(32).toString('hex')
  readonly #song = new Uint8Array(randomBytes(4_000_000))

  constructor(site: SimulatedSite, tell: (line: string) => void) {
    this.#site = site
    this.#tell = tell
  }

  async run(): Promise<ContentDemoReport> {
    const photo = await this.#register('photo.jpg', this.#photo, 'Harbour in Winter', price.photo)
    const song = await this.#register('song.mp3', this.#song, 'Harbour Song', price.song)
    const north = await this.#memberAt('terminal', '山田 花子')
    const west = await this.#memberAt('printer', '佐藤 太郎')
    const photoItem = await north.find('winter')
    const songItem = await north.find('song')
    const offered = (await north.browse('harbour', undefined, 10)).items.length
    this.#checks.add(
      'C5',
      'a provider’s files are offered once they are registered',
      offered === 2,
      `${offered} offered`,
    )
    await this.#deliver(north, west, photoItem)
    await this.#holders(photo)
    await this.#serverDies(west, songItem)
    await this.#player(song)
    const sums = await this.#fees()
    await this.#nothingKept()
    await this.#withdraw(north, photo, photoItem)
    return { deliveries: this.#deliveries, sums, checks: this.#checks.list, folder: this.#site.folder }
  }

  #command<T>(...words: string[]): Promise<T> {
    return gatewayCommand<T>([...words, '--folder', this.#site.folder, '--site', 'site'])
  }

  async #register(name: string, bytes: Uint8Array, title: string, minor: number): Promise<string> {
    this.#tell(`A provider offers ${title}`)
    const path = `${this.#site.folder}/${name}`
    await writeFile(path, bytes)
    const of = ['--provider', provider, '--title', title, '--price', String(minor), '--origin', 'fukuoka']
    return (await this.#command<{ id: string }>('content', 'add', path, ...of)).id
  }

  async #memberAt(place: string, name: string): Promise<BoardMember> {
    const board = await until(place, () => this.#site.boards.get(place))
    board.board.reader.insert(await this.#site.issueCard(name))
    return memberAt(board)
  }

  #note(what: string, board: string, { server, from, fee }: Omit<Got, 'bytes'>): void {
    this.#deliveries.push({ what, board, server, from, fee })
    this.#tell(`${what} at the ${board}: from ${server}, which had it from ${from}; ${fee}`)
  }

  async #deliver(north: BoardMember, west: BoardMember, item: ContentItem): Promise<void> {
    const miss = await north.get(item)
    this.#note('the photo', 'terminal', miss)
    const isOrigin = miss.from === 'fukuoka' && sha256(miss.bytes) === sha256(this.#photo)
    this.#checks.add('C3', 'what no near server holds is fetched from its origin, bit by bit', isOrigin, miss.from)
    const hit = await north.get(item)
    this.#note('the photo again', 'terminal', hit)
    const isHit = hit.from === hit.server && hit.fee === 'reference'
    this.#checks.add('C2', 'what is held is delivered from there, for the fee of one who has it', isHit, hit.fee)
    const other = await west.get(item)
    this.#note('the photo', 'printer', other)
    const near = [miss.server, other.server]
    this.#checks.add(
      'C1',
      'each board has the data server of its region',
      String(near) === 'ishikari,osaka',
      near.join(', '),
    )
  }

  async #holders(id: string): Promise<void> {
    const { holders } = await this.#command<{ holders: { server: string }[] }>('content', 'show', id)
    const held = holders.map(({ server }) => server).sort()
    const isTrue = String(held) === 'fukuoka,ishikari,osaka'
    this.#checks.add('C4', 'the list of holders has whoever delivered it, and its origin', isTrue, held.join(', '))
  }

  /** Osaka accepts the song, and dies when a part of it has left. */
  async #serverDies(west: BoardMember, item: ContentItem): Promise<void> {
    const arriving = await west.ask(item)
    this.#note('the song', 'printer', arriving)
    await arriving.read(0, 1)
    this.#tell(`${arriving.server} is killed in the middle`)
    const server = this.#site.servers.get(arriving.server)
    await server?.process?.kill()
    const isWhole = sha256(await arriving.whole()) === sha256(this.#song)
    await arriving.end()
    this.#checks.add(
      'C3',
      'a server dies in the middle, and another holder goes on',
      isWhole,
      `${this.#song.length} bytes`,
    )
    if (server) await this.#site.startServer(server.place)
  }

  async #player(id: string): Promise<void> {
    const of = ['--card', this.#playerCard, '--region', 'JP-01']
    const made = await this.#command<{ link: string }>('content', 'link', id, ...of)
    const first = await this.#read(made.link, 'bytes=0-1999999')
    const rest = await this.#read(made.link, 'bytes=2000000-')
    const isWhole = sha256(Buffer.concat([first, rest])) === sha256(this.#song)
    this.#checks.add('C14', 'a player elsewhere reads it in two ranges by a link', isWhole, '2 ranges')
  }

  async #read(link: string, range: string): Promise<Buffer> {
    const { pathname, search } = new URL(link, 'https://gateway.azukari.internal')
    const ca = await readFile(`${this.#site.folder}/tls/authority.pem`)
    const port = Number(this.#site.gateway?.fact['httpsPort'])
    const name = 'gateway.azukari.internal'
    const of = { host: '127.0.0.1', port, servername: name, ca, path: `${pathname}${search}`, agent: false }
    return new Promise((done, reject) => {
      const asked = request({ ...of, headers: { host: name, range } }, (answer) => {
        const parts: Buffer[] = []
        answer.on('data', (part: Buffer) => parts.push(part))
        answer.on('end', () => done(Buffer.concat(parts)))
        answer.on('error', reject)
      })
      asked.once('error', reject)
      asked.end()
    })
  }

  /** Both ledgers, the records behind them, and who earns what: all of them are told by commands. */
  async #fees(): Promise<Sum[]> {
    const { sums, entries } = await this.#command<{ sums: Sum[]; entries: Entry[] }>('content', 'charges')
    const proofs: Proof[] = []
    for (const delivery of new Set(entries.map((entry) => entry.delivery)))
      proofs.push(await this.#command<Proof>('content', 'proof', delivery))
    const records = proofs.flatMap(recordsOf)
    for (const record of records) if (hex(record.client) === this.#playerCard) this.#note('the song', 'player', record)
    const delivered = this.#deliveries.length
    const charged = (ledger: string) => entries.filter((one) => one.ledger === ledger && one.kind === 'charge').length
    const isOnce = charged('service') === delivered && charged('content') === delivered
    this.#checks.add('C7', 'each delivery is charged once in each ledger', isOnce, `${delivered} deliveries`)
    const isProven = records.length === delivered && records.every(({ kind }) => kind === 'charge')
    this.#checks.add('C7', 'each is one record that its data server signed', isProven, `${records.length} records`)
    const [service, content] = ['service', 'content'].map((ledger) =>
      sumOf(sums.filter((sum) => sum.ledger === ledger)),
    )
    const isCounted = service === delivered * price.service
    this.#checks.add('C8', 'the service fees are the requests times their price', isCounted, `${service} JPY`)
    await this.#shares(
      proofs.flatMap(({ shares }) => shares).filter(({ ledger }) => ledger === 'content'),
      content,
    )
    return sums
  }

  async #shares(shares: Proof['shares'], content: number | undefined): Promise<void> {
    const isWhole = sumOf(shares) === content
    this.#checks.add('C9', 'the shares of the content fees are the fees, to the yen', isWhole, `${content} JPY`)
    for (const [who, number] of Object.entries({ provider, operator })) {
      const earned = await this.#earned(number)
      const isTold = earned > 0 && earned === sumOf(shares.filter(({ payee }) => payee === number))
      this.#checks.add('C9', `the ${who} earns what the shares say`, isTold, `${earned} JPY`)
    }
  }

  async #earned(who: string): Promise<number> {
    const { parts } = await this.#command<{ parts: { ledger: string; waitingMinor: number; paidMinor: number }[] }>(
      'content',
      'earnings',
      who,
    )
    return sumOf(
      parts
        .filter(({ ledger }) => ledger === 'content')
        .map(({ waitingMinor, paidMinor }) => ({ minor: waitingMinor + paidMinor })),
    )
  }

  async #nothingKept(): Promise<void> {
    const devices = `${this.#site.folder}/devices`
    const kept = [
      ...(await filesWith(devices, this.#song.subarray(100_000, 100_064))),
      ...(await filesWith(devices, this.#photo.subarray(-5_064, -5_000))),
    ]
    this.#checks.add('C13', 'no board has written what it was shown', kept.length === 0, `${kept.length} files`)
  }

  async #withdraw(north: BoardMember, id: string, item: ContentItem): Promise<void> {
    await this.#command('content', 'withdraw', id)
    const code = await north.get(item).then(
      () => 'delivered',
      (error: unknown) => (isProblem(error) ? error.code : String(error)),
    )
    this.#checks.add('C5', 'what was withdrawn is delivered no more', code === 'content.withdrawn', code)
  }
}

function sumOf(rows: readonly { minor: number }[]): number {
  return rows.reduce((sum, { minor }) => sum + minor, 0)
}

/** @throws {Problem} `cose.*` for one that the server did not sign */
function recordsOf({ server, serverKey, records }: Proof) {
  const key = parseCoseKey(new Uint8Array(Buffer.from(serverKey, 'hex')))
  return records.map(({ seq, signed }) => openRecord(new Uint8Array(Buffer.from(signed, 'hex')), key, { server, seq }))
}
