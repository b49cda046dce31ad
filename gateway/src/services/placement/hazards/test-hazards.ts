/** A board with data servers at named places, and hazard documents of this project's own, for tests. */
import type { Clock, Files, Log } from '@azukari/protocol/ports'
import { memoryDatabase } from '../../../adapters/database.ts'
import type { ServiceStore } from '../../../service/service.ts'
import type { Transaction } from '../../../storage/database.ts'
import { migrate } from '../../../storage/migrate.ts'
import { placementMigrations } from '../migrations.ts'
import { LiveRiskBoard } from '../risk/live-board.ts'
import { servers } from '../store.ts'
import type { FetchFeed } from './feed-port.ts'
import { hazardSettings } from './settings.ts'
import { FeedWatch } from './watch.ts'

export const hourMs = 3_600_000
/** When everything here happens. */
export const nowMs = Date.parse('2024-06-03T03:00:00Z')

const places = {
  frankfurt: [50.11, 8.68, 'DE-HE'],
  naha: [26.21, 127.68, 'JP-47'],
  sendai: [38.27, 140.87, 'JP-04'],
  suva: [-18.14, 178.44, 'FJ'],
  taipei: [25.03, 121.57, 'TW-TPE'],
} as const
export type PlaceName = keyof typeof places

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet }

/** Feeds as `hazards.json` names them, and how they are reached. */
export interface TestFeeds {
  feeds: { name: string; url: string; mayRedirectTo?: string[] }[]
  files: Files
  fetchFeed: FetchFeed
}

/** A site that takes documents by the same way as `hazard push`, on a clock that is turned by hand. */
export async function hazardSite(from?: TestFeeds) {
  const database = memoryDatabase()
  await migrate(database, [{ set: 'placement', migrations: placementMigrations }], nowMs)
  for (const [id, [latitude, longitude, region]] of Object.entries(places)) {
    const rates = JSON.stringify([{ peril: 'fire', probability: 0.001, vulnerability: 0.05, source: 'test' }])
    const key = new Uint8Array(1)
    await servers.put(database, {
      id,
      name: id,
      region,
      latitude,
      longitude,
      domain: id,
      url: 'https://x',
      key,
      kid: key,
      capacity: 1e9,
      rates,
    })
  }
  const store = {
    sql: database,
    transaction: (work: (context: { sql: Transaction }) => unknown) => database.transaction((sql) => work({ sql })),
  } as unknown as ServiceStore
  let ms = nowMs
  const cancel = () => undefined
  const clock: Clock = {
    now: () => ms,
    monotonicMs: () => ms,
    sleep: async () => undefined,
    timer: () => ({ cancel, [Symbol.dispose]: cancel }),
  }
  const sources = from && { ...from, feeds: hazardSettings({ feeds: from.feeds }).feeds }
  const start = async () => {
    const board = new LiveRiskBoard({ store, clock, log: quiet })
    await board.load()
    await board.refresh('start')
    const watch = new FeedWatch({ board, store, clock, log: quiet, ...(sources ? { sources } : {}) })
    await watch.load()
    return { board, watch }
  }
  let running = await start()
  return {
    push: (document: string, feed = 'agency') => running.watch.push(new TextEncoder().encode(document), { feed }),
    risk: async (place: PlaceName) => (await running.board.of(place)).value,
    terms: async (place: PlaceName) =>
      (await running.board.of(place)).terms.filter(({ hazard }) => hazard !== undefined),
    hazards: () => running.board.hazards().map(({ hazard }) => hazard),
    look: () => running.watch.look(),
    status: () => running.watch.status(),
    async pass(hours: number) {
      ms += hours * hourMs
      await running.board.refresh('time')
    },
    async restart() {
      running = await start()
    },
  }
}

export interface CapInfo {
  event?: string
  language?: string
  category?: string
  headline?: string
  urgency?: string
  severity?: string
  certainty?: string
  onset?: string
  expires?: string
  /** Parts between the times and the area: codes, parameters, responses. */
  more?: string
  /** What stands within `area`. */
  area?: string
}

export function capInfo(info: CapInfo): string {
  const element = (name: string, value: string | undefined) =>
    value === undefined ? '' : `<${name}>${value}</${name}>`
  return `<info>${element('language', info.language)}<category>${info.category ?? 'Met'}</category>
<event>${info.event ?? 'Flood warning'}</event><urgency>${info.urgency ?? 'Expected'}</urgency>
<severity>${info.severity ?? 'Severe'}</severity><certainty>${info.certainty ?? 'Likely'}</certainty>
${element('onset', info.onset)}${element('expires', info.expires ?? '2024-06-03T15:00:00Z')}
${element('headline', info.headline)}${info.more ?? ''}<area><areaDesc>somewhere</areaDesc>${info.area ?? ''}</area></info>`
}

export interface CapHead {
  id?: string
  sender?: string
  sent?: string
  status?: string
  type?: string
  references?: string
}

export function capAlert(head: CapHead, ...infos: CapInfo[]): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>${head.id ?? 'A1'}</identifier>
<sender>${head.sender ?? 'warn@example.org'}</sender><sent>${head.sent ?? '2024-06-03T02:00:00Z'}</sent>
<status>${head.status ?? 'Actual'}</status><msgType>${head.type ?? 'Alert'}</msgType><scope>Public</scope>
${head.references === undefined ? '' : `<references>${head.references}</references>`}${infos.map(capInfo).join('')}</alert>`
}

/** How a later message names one of `capAlert`. */
export const named = (id: string) => `warn@example.org,${id},2024-06-03T02:00:00Z`

/** A polygon of one degree around a place. */
export function around(place: PlaceName): string {
  const [y, x] = places[place]
  const corners = [
    [y - 0.5, x - 0.5],
    [y - 0.5, x + 0.5],
    [y + 0.5, x + 0.5],
    [y + 0.5, x - 0.5],
    [y - 0.5, x - 0.5],
  ]
  return `<polygon>${corners.map((corner) => corner.map((n) => n!.toFixed(2)).join(',')).join(' ')}</polygon>`
}

export interface JmaReport {
  title: string
  at?: string
  events?: string
  info?: string
  status?: string
  body?: string
}

export function jmaReport({ title, at, events, info, status, body }: JmaReport): string {
  return `<?xml version="1.0" encoding="UTF-8"?>
<Report xmlns="http://xml.kishou.go.jp/jmaxml1/"><Control><Title>${title}</Title><Status>${status ?? '通常'}</Status></Control>
<Head xmlns="http://xml.kishou.go.jp/jmaxml1/informationBasis1/"><Title>${title}</Title>
<ReportDateTime>${at ?? '2024-06-03T11:30:00+09:00'}</ReportDateTime><EventID>${events ?? '20240603112500'}</EventID>
<InfoType>${info ?? '発表'}</InfoType></Head>
<Body xmlns="http://xml.kishou.go.jp/jmaxml1/body/seismology1/" xmlns:jmx_eb="http://xml.kishou.go.jp/jmaxml1/elementBasis1/">${body ?? ''}</Body></Report>`
}

/** Off Sendai; `magnitude` as the element's whole content and attributes may be given. */
export function quakeBody(magnitude: string, attributes = ''): string {
  return `<Earthquake><OriginTime>2024-06-03T11:25:00+09:00</OriginTime><Hypocenter><Area><Name>宮城県沖</Name>
<jmx_eb:Coordinate datum="日本測地系">+38.2+141.2-20000/</jmx_eb:Coordinate></Area></Hypocenter>
<jmx_eb:Magnitude type="Mj"${attributes}>${magnitude}</jmx_eb:Magnitude></Earthquake>`
}

/** Coasts with the code of their kind: 52 major warning, 51 warning, 62 advisory, 60 lifted. */
export function coastBody(...coasts: [name: string, code: string, arrival?: string][]): string {
  const items = coasts.map(
    ([
      name,
      code,
      arrival,
    ]) => `<Item><Area><Name>${name}</Name></Area><Category><Kind><Code>${code}</Code></Kind></Category>
<FirstHeight><ArrivalTime>${arrival ?? '2024-06-03T12:30:00+09:00'}</ArrivalTime></FirstHeight></Item>`,
  )
  return `<Tsunami><Forecast>${items.join('')}</Forecast></Tsunami>`
}

/** A typhoon's positions: kind, time, degrees, wind in m/s; a remark. */
export function typhoonBody(
  points: [kind: string, at: string, position: string, windMs: number][],
  remark = '',
): string {
  const one = ([kind, at, position, windMs]: (typeof points)[number]) => {
    const centre = kind.includes('予報')
      ? `<ProbabilityCircle type="予報円"><jmx_eb:BasePoint type="中心位置（度）">${position}</jmx_eb:BasePoint>
<jmx_eb:Axes><jmx_eb:Axis><jmx_eb:Radius unit="km">80</jmx_eb:Radius></jmx_eb:Axis></jmx_eb:Axes></ProbabilityCircle>`
      : `<jmx_eb:Coordinate type="中心位置（度）">${position}</jmx_eb:Coordinate>`
    return `<MeteorologicalInfo><DateTime type="${kind}">${at}</DateTime><Item><Kind><Property><CenterPart>${centre}</CenterPart>
<WindPart><jmx_eb:WindSpeed unit="m/s" type="最大風速">${windMs}</jmx_eb:WindSpeed></WindPart></Property></Kind></Item></MeteorologicalInfo>`
  }
  const said = remark && `<Remark>${remark}</Remark>`
  return `<MeteorologicalInfos type="台風情報">${points.map(one).join('')}</MeteorologicalInfos>${said}`
}
