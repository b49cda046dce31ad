import type { Button, Display, Panel, Shown } from '../drivers.ts'
import { aborted, type Checks, caught, fails, limit } from './suite.ts'

export interface PanelBench {
  make(): Promise<Panel>
  press(panel: Panel, button: Button): Promise<void>
  /** Types a PIN when asked; undefined for cancel. */
  type?(panel: Panel, pin: string | undefined): Promise<void>
}

export interface DisplayBench {
  make(): Promise<Display>
  /** What can be seen on it. */
  seen?(display: Display): Promise<Shown | undefined>
}

/** S17: what every panel does. */
export async function panelConforms(t: Checks, bench: PanelBench): Promise<void> {
  await t.test('S17: pressed buttons are told to who listens', {}, async (t) => {
    const panel = await bench.make()
    const pressed: Button[] = []
    const listening = panel.onButton((button) => pressed.push(button))
    for (const button of panel.buttons) await bench.press(panel, button)
    t.same(pressed, panel.buttons)
    listening[Symbol.dispose]()
    await bench.press(panel, panel.buttons[0]!)
    t.equal(pressed.length, panel.buttons.length)
    await panel.close()
  })
  await t.test('S17: lamps', {}, async (t) => {
    const panel = await bench.make()
    for (const lamp of panel.lamps) for (const state of ['on', 'blink', 'off'] as const) await panel.lamp(lamp, state)
    for (const lamp of (['ready', 'busy', 'problem'] as const).filter((lamp) => !panel.lamps.includes(lamp)))
      await fails(t, 'panel', panel.lamp(lamp, 'on'), 'part.unsupported')
    await panel.close()
  })
  if (bench.type)
    await t.test('S17: a PIN is asked for, typed, cancelled, aborted', {}, async (t) => {
      const panel = await bench.make()
      const asked = panel.askPin('PIN', limit())
      await fails(t, 'panel', panel.askPin('PIN', limit()), 'part.busy')
      await bench.type!(panel, '1234')
      t.equal(await asked, '1234')
      const cancelled = fails(t, 'panel', panel.askPin('PIN', limit()), 'panel.cancelled')
      await bench.type!(panel, undefined)
      await cancelled
      const { signal, reason } = aborted()
      t.equal(await caught(panel.askPin('PIN', signal)), reason)
      const leaving = new AbortController()
      const left = caught(panel.askPin('PIN', leaving.signal))
      leaving.abort(reason)
      t.equal(await left, reason)
      await panel.close()
    })
}

/** S17: what every display does. */
export async function displayConforms(t: Checks, bench: DisplayBench): Promise<void> {
  await t.test('S17: what is shown replaces what was', {}, async (t) => {
    const display = await bench.make()
    t.ok(display.rows >= 1)
    await display.show({ lines: ['one'], tone: 'busy' })
    await display.show({ lines: Array.from({ length: display.rows + 3 }, (_, i) => `写真 ${i}`) })
    if (bench.seen)
      t.same(
        (await bench.seen(display))?.lines,
        Array.from({ length: display.rows }, (_, i) => `写真 ${i}`),
      )
    await display.close()
    await display.close()
    await fails(t, 'display', display.show({ lines: ['late'] }))
  })
}
