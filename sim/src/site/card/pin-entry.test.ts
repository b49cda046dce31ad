/** A person asked for the PIN of the card that is in: wrong, abandoned, unanswered, pulled out meanwhile, two at once (S15, S17). */
import { ButtonEntry, dial } from '@azukari/device/apps/button-entry'
import { Dialogue } from '@azukari/device/apps/dialogue'
import { Presence } from '@azukari/device/apps/presence'
import type { Button, Entry, PinQuestion } from '@azukari/device/drivers'
import { isProblem, Problem } from '@azukari/protocol/problem'
import t from 'tap'
import { SimulatedDisplay } from '../../testkit/boards/display.ts'
import { SimulatedPanel } from '../../testkit/boards/panel.ts'
import { SimulatedReader } from '../../testkit/boards/reader.ts'
import { issue, random } from '../../testkit/card/fixture.ts'
import { quietLog } from '../../testkit/log.ts'
import { SimClock } from '../../testkit/world/clock.ts'

const pin = '2468'

/** A board without a line, at which a card was put in. */
async function standing(entry: readonly Entry[] = ['pin']) {
  const clock = new SimClock()
  const stop = new AbortController()
  const reader = new SimulatedReader({ clock })
  const panel = new SimulatedPanel({ clock, entry })
  const display = new SimulatedDisplay()
  const dialogue = new Dialogue({ panels: [panel], display, clock, language: () => 'en' })
  const presence = new Presence({
    reader,
    clock,
    random,
    operation: 'save',
    log: quietLog,
    identity: { device: 'camera-1' },
    keys: { isInUse: async () => true },
    link: {
      up: false,
      onState: () => () => false,
      onEvent: () => {},
      call: () => Promise.reject(new Problem('link.offline')),
    },
    outbox: { append: async () => {} },
    cardData: { apply: async () => {} },
    consents: { allowsLocation: async () => false, remember: async () => false, withdraw: async () => {} },
    askPin: (name, tries, signal) => dialogue.pin(name, tries, signal),
    lines: () => 4,
  })
  const run = presence.run(stop.signal)
  const { card } = issue()
  reader.insert(card)
  const pass = (ms = 2_000) => clock.runUntil(clock.now() + ms)
  await pass()
  const end = async () => {
    reader.remove()
    stop.abort()
    await pass()
    await run
  }
  const wanted = (): { code: () => string | undefined } => {
    let code: string | undefined
    presence
      .require()
      .requirePin()
      .then(
        () => {
          code = 'verified'
        },
        (error) => {
          code = isProblem(error) ? error.code : String(error)
        },
      )
    return { code: () => code }
  }
  const asked = () => panel.asked as PinQuestion | undefined
  return { clock, reader, panel, display, presence, pass, end, wanted, asked }
}

t.test(
  'S15: a wrong PIN is asked again with the tries that are left, until it is right or the card is blocked',
  async (t) => {
    const { panel, display, pass, end, wanted, asked, presence } = await standing()
    const first = wanted()
    const second = wanted()
    await pass()
    t.equal(asked()?.triesLeft, undefined)
    panel.typePin('0000')
    await pass()
    t.equal(asked()?.triesLeft, 2)
    t.match(display.current?.lines, ['The PIN is wrong', '2 tries are left'])
    panel.typePin(pin)
    await pass()
    t.same([first.code(), second.code()], ['verified', 'verified'], 'two that want it share one question')
    t.equal(asked(), undefined)
    await presence.require().requirePin()
    t.pass('once in is enough')
    await end()

    const other = await standing()
    const blocked = other.wanted()
    for (let i = 0; i < 3; i++) {
      await other.pass()
      other.panel.typePin('0000')
    }
    await other.pass()
    t.equal(blocked.code(), 'card.blocked')
    const again = other.wanted()
    await other.pass()
    t.equal(again.code(), 'card.blocked', 'and nobody is asked any more')
    await other.end()
  },
)

t.test('S15: an entry that is abandoned or never answered changes nothing', async (t) => {
  const { panel, pass, end, wanted, asked } = await standing()
  const cancelled = wanted()
  await pass()
  panel.press('cancel')
  await pass()
  t.equal(cancelled.code(), 'panel.cancelled')
  const unanswered = wanted()
  await pass(61_000)
  t.equal(unanswered.code(), 'panel.unanswered')
  const right = wanted()
  await pass()
  t.equal(asked()?.triesLeft, undefined, 'no try was used')
  panel.typePin(pin)
  await pass()
  t.equal(right.code(), 'verified')
  await end()
})

t.test('S15: a card pulled out during the entry ends the question, and what is typed then goes nowhere', async (t) => {
  const { panel, reader, pass, end, wanted, asked, presence } = await standing()
  const pulled = wanted()
  await pass()
  t.ok(asked())
  reader.remove()
  await pass()
  t.equal(pulled.code(), 'card.removed')
  t.equal(asked(), undefined)
  panel.typePin(pin)
  const { card } = issue()
  reader.insert(card)
  await pass()
  const next = wanted()
  await pass()
  t.equal(next.code(), undefined, 'the next card wants its own')
  t.ok(asked())
  t.ok(presence.card)
  await end()
})

t.test('S17: with four buttons and a display a PIN is dialled, and shown as dots', async (t) => {
  const { panel, display, pass, end, wanted } = await standing([])
  const dialled = wanted()
  await pass()
  const press = (button: Button, times = 1) => {
    for (let i = 0; i < times; i++) panel.press(button)
  }
  press('up', 2)
  press('ok')
  press('up', 2)
  press('ok')
  press('up', 2)
  press('ok')
  press('up', 2)
  press('ok')
  t.match(display.current?.lines, [/./, '●●●● [8]'])
  press('up', 3)
  press('ok')
  await pass()
  t.equal(dialled.code(), 'verified')
  await end()
})

t.test('S17: a dial takes no PIN that is too short, and deletes', async (t) => {
  const digits = { min: 4, max: 12 }
  t.same(dial({ digits: '123', at: 11 }, 'ok', digits), { dial: { digits: '123', at: 11 } })
  t.same(dial({ digits: '1234', at: 11 }, 'ok', digits), { dial: { digits: '', at: 0 }, pin: '1234' })
  t.same(dial({ digits: '1234', at: 10 }, 'ok', digits), { dial: { digits: '123', at: 10 } })
  t.same(dial({ digits: '1'.repeat(12), at: 5 }, 'ok', digits), { dial: { digits: '1'.repeat(12), at: 5 } })
  t.same(dial({ digits: '', at: 0 }, 'down', digits), { dial: { digits: '', at: 11 } })
  const panel = new SimulatedPanel({ entry: [] })
  const entry = new ButtonEntry({
    panel,
    display: new SimulatedDisplay(),
    clock: new SimClock(),
    words: () => ({}) as never,
  })
  await t.rejects(entry.askText(), { code: 'part.unsupported' })
})
