/**
 * The apps of one board, by its roles and parts: who is present, what each role does, and the menus with which a person works it.
 * Nothing runs yet; the runtime runs what is made here.
 */
import type { Files, Log, Random } from '@azukari/protocol/ports'
import { Attendant } from './apps/attendant.ts'
import { CameraApp } from './apps/camera.ts'
import { ContentMenu } from './apps/content/menu.ts'
import { DecisionsMenu } from './apps/decisions.ts'
import type { Dialogue } from './apps/dialogue.ts'
import { MemberRequests } from './apps/member-requests.ts'
import { MemberMenu } from './apps/menu.ts'
import { MoneyMenu } from './apps/money/menu.ts'
import type { PayApp } from './apps/pay.ts'
import { Presence } from './apps/presence.ts'
import { PrinterApp } from './apps/printer.ts'
import { TerminalApp } from './apps/terminal.ts'
import { wordsOf } from './apps/words.ts'
import type { Consents } from './consents.ts'
import type { Board, Panel } from './drivers.ts'
import type { CardData } from './fleet/card-data.ts'
import type { Identity } from './identity.ts'
import type { KnownTime } from './known-time.ts'
import type { Link } from './link.ts'
import type { MarkReader } from './marks/mark-reader.ts'
import { MarkWatch } from './marks/mark-watch.ts'
import type { SightingRecord } from './marks/sighting-record.ts'
import type { NoticeDisplay } from './notices.ts'
import type { Outbox } from './outbox.ts'
import type { Saves } from './saves.ts'
import type { SiteKeys } from './site-keys.ts'

export type DeviceRole = 'camera' | 'printer' | 'terminal'

/** What the apps of a board are made of. */
export interface AppParts {
  board: Board
  roles: readonly DeviceRole[]
  dialogue: Dialogue
  display: NoticeDisplay | undefined
  /** What the board speaks now. */
  language: () => 'ja' | 'en'
  clock: KnownTime
  random: Random
  log: Log
  link: Link
  outbox: Outbox
  saves: Saves
  identity: Identity
  keys: SiteKeys
  cardData: CardData
  consents: Consents
  /** Reads pictures' marks; absent where the board looks for none. */
  marks: (() => Promise<MarkReader>) | undefined
  sightings: SightingRecord
}

/** On every board with a reader; each role's own where it has the role. */
export interface BoardApps {
  presence: Presence
  /** What members decide over their data (D8). */
  requests: MemberRequests
  /** Looks at what is printed and shown for marks of works (R4). */
  marks: MarkWatch | undefined
  camera: CameraApp | undefined
  printer: PrinterApp | undefined
  terminal: TerminalApp | undefined
}

const operations = { camera: 'save', printer: 'print', terminal: 'look' } as const

/** @returns undefined for a board without a card reader: nobody can be present there */
export function makeApps(parts: AppParts): BoardApps | undefined {
  const { board, roles, dialogue, display, language, clock, random, log, link, outbox, saves, identity, keys } = parts
  const { reader, camera, printer, memory } = board
  if (!reader) return undefined
  const { cardData, consents, sightings } = parts
  const now = () => clock.now()
  const presence = new Presence({
    cardData,
    consents,
    reader,
    link,
    outbox,
    identity,
    keys,
    clock,
    random,
    log,
    operation: operations[roles[0] ?? 'terminal'],
    askPin: (name, tries, signal) => dialogue.pin(wordsOf(language).pinOf(name), tries, signal),
    lines: () => display?.rows ?? 0,
  })
  const requests = new MemberRequests({ presence, outbox, link, random, now, keys, consents })
  const marks =
    parts.marks && (roles.includes('printer') || roles.includes('terminal'))
      ? new MarkWatch({ presence, outbox, record: sightings, reader: parts.marks, clock, random, log })
      : undefined
  const shared = { presence, display, clock, log, language, marks }
  const fetching = { link, random, device: identity.device }
  return {
    presence,
    requests,
    marks,
    camera: roles.includes('camera')
      ? new CameraApp({ ...shared, saves, camera, dialogue, online: () => link.up })
      : undefined,
    printer: roles.includes('printer') ? new PrinterApp({ ...shared, ...fetching, printer }) : undefined,
    terminal: roles.includes('terminal')
      ? new TerminalApp({ ...shared, ...fetching, requests, memory, now, keys })
      : undefined,
  }
}

/** What the menus of a board need beside its apps. */
export interface AttendantParts extends AppParts {
  files: Files
  /** Of members' vaults. */
  vaults: string
  pay: PayApp | undefined
  panels: readonly Panel[]
}

/** Once everything is there that can be done at this board. */
export function makeAttendant(apps: BoardApps, parts: AttendantParts): Attendant {
  const { presence, requests, marks, camera, printer, terminal } = apps
  const { board, dialogue, display, language, clock, random, log, link, identity, files, vaults, pay, panels } = parts
  const { memory, camera: eye, printer: paper } = board
  const shared = { presence, display, clock, log, language, marks, dialogue }
  const fetching = { link, random, device: identity.device }
  const money = pay && new MoneyMenu({ ...shared, pay, link, random, files, memory, folder: vaults })
  const showProblem = async (error: unknown) => terminal?.showProblem(error)
  const decisions = terminal && new DecisionsMenu({ ...shared, showProblem, terminal, requests })
  const { player } = board.display ?? {}
  const content = new ContentMenu({ ...shared, link, random, player, printer: paper })
  const canList = printer !== undefined || terminal !== undefined
  const menu = canList
    ? new MemberMenu({
        ...shared,
        ...fetching,
        memory,
        terminal,
        decisions,
        money,
        content,
        printer: paper && printer,
      })
    : undefined
  return new Attendant({ presence, display, dialogue, panels, language, log, camera: eye && camera, menu })
}
