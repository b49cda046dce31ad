/** What members decide over their data at a terminal (D8): consent, how long things are kept, and closing the account. */
import type { Language } from '@azukari/protocol/finding-text'
import { isProblem } from '@azukari/protocol/problem'
import type { MarkWatch } from '../marks/mark-watch.ts'
import { type Act, type ActPorts, offerActs } from './acts.ts'
import type { MemberRequests } from './member-requests.ts'
import type { Presence } from './presence.ts'
import type { TerminalApp } from './terminal.ts'

interface DecisionWords {
  decisions: string
  consent: string
  sightings: string
  maySay: (now: string) => string
  location: (now: string) => string
  abroad: (now: string) => string
  yes: string
  no: string
  unknown: string
  retention: string
  retentionNow: (now: string) => string
  forEver: string
  days: (days: number) => string
  close: string
  closeSure: string
  closeYes: string
}

const words: Record<Language, DecisionWords> = {
  en: {
    decisions: 'Consent, how long, closing',
    consent: 'My consent',
    sightings: 'Telling authors',
    maySay: (now) => `May boards tell authors that their marked work was met, without naming you? (now: ${now})`,
    location: (now) => `May the places of pictures be kept? (now: ${now})`,
    abroad: (now) => `May copies lie in other countries? (now: ${now})`,
    yes: 'Yes',
    no: 'No',
    unknown: 'not known without a line',
    retention: 'How long things are kept',
    retentionNow: (now) => `How long are things kept? (now: ${now})`,
    forEver: 'For ever',
    days: (days) => `${days} days, then deleted`,
    close: 'Close my account',
    closeSure: 'Everything that you have here is deleted for ever. Close the account?',
    closeYes: 'Yes, delete everything and close it',
  },
  ja: {
    decisions: '同意・保存期間・解約',
    consent: '同意の設定',
    sightings: '作者への通知',
    maySay: (now) => `電子透かしのある作品が使われたことを、お名前を出さずに作者へ知らせてよいですか（現在：${now}）`,
    location: (now) => `撮影場所を残してよいですか（現在：${now}）`,
    abroad: (now) => `国外に預けてよいですか（現在：${now}）`,
    yes: 'はい',
    no: 'いいえ',
    unknown: '回線がないため不明',
    retention: '保存期間',
    retentionNow: (now) => `いつまで預かりますか（現在：${now}）`,
    forEver: '期限なし',
    days: (days) => `${days}日後に消去`,
    close: '解約する',
    closeSure: 'お預かりしたものをすべて完全に消去します。解約しますか',
    closeYes: 'はい、すべて消去して解約します',
  },
}

/** What can be chosen; 0: for ever. */
const retentions = [0, 30, 90, 365, 1_825, 3_650]

export interface DecisionsMenuOptions extends ActPorts {
  terminal: Pick<TerminalApp, 'wish'>
  requests: Pick<MemberRequests, 'settings'>
  language: () => Language
  presence: Pick<Presence, 'require'>
  /** Only where pictures are looked at for marks. */
  marks?: Pick<MarkWatch, 'allows' | 'decide'> | undefined
}

export class DecisionsMenu {
  readonly #o: DecisionsMenuOptions

  constructor(options: DecisionsMenuOptions) {
    this.#o = options
  }

  get label(): string {
    return this.#words.decisions
  }

  async open(until: AbortSignal): Promise<void> {
    const { consent, retention, close, sightings } = this.#words
    const { marks } = this.#o
    const acts: Act[] = [
      { label: consent, act: (leave) => this.#consent(leave) },
      { label: retention, act: (leave) => this.#retention(leave) },
      { label: close, act: (leave) => this.#close(leave) },
    ]
    if (marks) acts.splice(1, 0, { label: sightings, act: (leave) => this.#sightings(marks, leave) })
    await offerActs(this.#o, this.#words.decisions, () => acts, until)
  }

  /** Both are asked: a wish says both, and without a line nobody here knows what stands. */
  async #consent(leave: AbortSignal): Promise<void> {
    const { location, abroad, yes, no, unknown } = this.#words
    const now = await this.#settings()
    const told = (value: boolean | undefined) => (value === undefined ? unknown : value ? yes : no)
    const allowsLocation = await this.#isYes(location(told(now?.location)), leave)
    const allowsAbroad = await this.#isYes(abroad(told(now?.abroad)), leave)
    await this.#o.terminal.wish({ kind: 'consent', location: allowsLocation, abroad: allowsAbroad })
  }

  /** R4: asked apart from the others, for it is the rights service that keeps it. */
  async #sightings(marks: Pick<MarkWatch, 'allows' | 'decide'>, leave: AbortSignal): Promise<void> {
    const { maySay, yes, no } = this.#words
    const card = this.#o.presence.require()
    const now = (await marks.allows(card)) ? yes : no
    await marks.decide(card, await this.#isYes(maySay(now), leave))
  }

  async #retention(leave: AbortSignal): Promise<void> {
    const { retentionNow, forEver, days, unknown } = this.#words
    const told = (of: number) => (of === 0 ? forEver : days(of))
    const now = await this.#settings()
    const choices = retentions.map((of) => ({ label: told(of), days: of }))
    const prompt = retentionNow(now === undefined ? unknown : told(now.retentionDays))
    const chosen = await this.#o.dialogue.choose(prompt, choices, leave)
    await this.#o.terminal.wish({ kind: 'retention', days: chosen.days })
  }

  async #close(leave: AbortSignal): Promise<void> {
    const { closeSure, closeYes, no } = this.#words
    const sure = await this.#o.dialogue.choose(closeSure, [{ label: no }, { label: closeYes }], leave)
    if (sure.label === closeYes) await this.#o.terminal.wish({ kind: 'close' })
  }

  async #isYes(prompt: string, leave: AbortSignal): Promise<boolean> {
    const { yes, no } = this.#words
    return (await this.#o.dialogue.choose(prompt, [{ label: no }, { label: yes }], leave)).label === yes
  }

  /** Undefined without a session or a line. */
  async #settings() {
    try {
      return await this.#o.requests.settings()
    } catch (error) {
      if (isProblem(error)) return undefined
      throw error
    }
  }

  get #words() {
    return words[this.#o.language()]
  }
}
