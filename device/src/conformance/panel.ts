import type { Button, Display, Entry, Panel, Shown } from '../drivers.ts'
import { aborted, type Checks, caught, fails, limit } from './suite.ts'

export interface PanelHarness {
  make(): Promise<Panel>
  press(panel: Panel, button: Button): Promise<void>
  /** Types a PIN when asked; undefined for cancel. */
  type?(panel: Panel, pin: string | undefined): Promise<void>
  /** Writes a text when asked. */
  write?(panel: Panel, text: string): Promise<void>
  /** Picks one of the choices when asked. */
  pick?(panel: Panel, index: number): Promise<void>
}

export interface DisplayHarness {
  make(): Promise<Display>
  /** What can be seen on it. */
  seen?(display: Display): Promise<Shown | undefined>
}

/** S17: what every panel does. */
export async function panelConforms(t: Checks, fixture: PanelHarness): Promise<void> {
  await t.test('S17: pressed buttons are told to who listens', {}, async (t) => {
    const panel = await fixture.make()
    const pressed: Button[] = []
    const listening = panel.onButton((button) => pressed.push(button))
    for (const button of panel.buttons) await fixture.press(panel, button)
    t.same(pressed, panel.buttons)
    listening[Symbol.dispose]()
    await fixture.press(panel, panel.buttons[0]!)
    t.equal(pressed.length, panel.buttons.length)
    await panel.close()
  })
  await t.test('S17: lamps', {}, async (t) => {
    const panel = await fixture.make()
    for (const lamp of panel.lamps) for (const state of ['on', 'blink', 'off'] as const) await panel.lamp(lamp, state)
    for (const lamp of (['ready', 'busy', 'problem'] as const).filter((lamp) => !panel.lamps.includes(lamp)))
      await fails(t, 'panel', panel.lamp(lamp, 'on'), 'part.unsupported')
    await panel.close()
  })
  await t.test('S17: what it has no keys for is unsupported', {}, async (t) => {
    const panel = await fixture.make()
    for (const entry of (['pin', 'text', 'choice'] as const).filter((one) => !panel.entry.includes(one)))
      await fails(t, 'panel', ask[entry](panel, limit()), 'part.unsupported')
    await panel.close()
  })
  const { type, write, pick } = fixture
  if (type)
    await t.test('S17: a PIN is asked for, typed, cancelled', {}, async (t) => {
      const panel = await fixture.make()
      const asked = panel.askPin(pinQuestion, limit())
      await type(panel, '1234')
      t.equal(await asked, '1234')
      const longest = panel.askPin({ ...pinQuestion, triesLeft: 2 }, limit())
      await type(panel, '123456789012')
      t.equal(await longest, '123456789012')
      const cancelled = fails(t, 'panel', panel.askPin(pinQuestion, limit()), 'panel.cancelled')
      await type(panel, undefined)
      await cancelled
      await panel.close()
    })
  if (write)
    await t.test('S17: a text is asked for, in any script', {}, async (t) => {
      const panel = await fixture.make()
      const asked = panel.askText(textQuestion, limit())
      await write(panel, ' 山田 花子 ')
      t.equal(await asked, '山田 花子')
      // The same name in two encodings is one name.
      const composed = panel.askText(textQuestion, limit())
      await write(panel, 'カ\u3099イト')
      t.equal(await composed, 'ガイト')
      await panel.close()
    })
  if (pick)
    await t.test('S17: one of several things is chosen', {}, async (t) => {
      const panel = await fixture.make()
      const asked = panel.choose(choiceQuestion, limit())
      await pick(panel, 1)
      t.equal(await asked, 1)
      await panel.close()
    })
  for (const entry of ['pin', 'text', 'choice'] as const)
    await t.test(`S17: a question (${entry}) ends when the person leaves, and when nobody answers`, {}, async (t) => {
      const panel = await fixture.make()
      // Limits alone keep no process alive.
      const awake = setInterval(() => undefined, 1_000)
      t.teardown(() => clearInterval(awake))
      if (panel.entry.includes(entry)) {
        const { signal, reason } = aborted()
        t.equal(await caught(ask[entry](panel, signal)), reason)
        const leaving = new AbortController()
        const left = caught(ask[entry](panel, leaving.signal))
        await fails(t, 'panel', ask[entry](panel, limit()), 'part.busy')
        leaving.abort(reason)
        t.equal(await left, reason, 'ends at once')
        await fails(t, 'panel', ask[entry](panel, limit(), 50), 'panel.unanswered')
        const closed = fails(t, 'panel', ask[entry](panel, limit()), 'part.absent')
        await panel.close()
        await closed
      } else await panel.close()
    })
}

const pinQuestion = { prompt: '暗証番号', limitMs: 30_000, digits: { min: 4, max: 12 } }
const textQuestion = { prompt: 'お名前', limitMs: 30_000, maxLength: 40 }
const choiceQuestion = { prompt: '写真', limitMs: 30_000, choices: [{ label: '一' }, { label: '二', detail: 'two' }] }

const ask: Record<Entry, (panel: Panel, signal: AbortSignal, limitMs?: number) => Promise<unknown>> = {
  pin: (panel, signal, limitMs = 30_000) => panel.askPin({ ...pinQuestion, limitMs }, signal),
  text: (panel, signal, limitMs = 30_000) => panel.askText({ ...textQuestion, limitMs }, signal),
  choice: (panel, signal, limitMs = 30_000) => panel.choose({ ...choiceQuestion, limitMs }, signal),
}

/** S17: what every display does. */
export async function displayConforms(t: Checks, fixture: DisplayHarness): Promise<void> {
  await t.test('S17: what is shown replaces what was', {}, async (t) => {
    const display = await fixture.make()
    t.ok(display.rows >= 1)
    await display.show({ lines: ['one'], tone: 'busy' })
    await display.show({ lines: Array.from({ length: display.rows + 3 }, (_, i) => `写真 ${i}`) })
    if (fixture.seen)
      t.same(
        (await fixture.seen(display))?.lines,
        Array.from({ length: display.rows }, (_, i) => `写真 ${i}`),
      )
    await display.close()
    await display.close()
    await fails(t, 'display', display.show({ lines: ['late'] }))
  })
}
