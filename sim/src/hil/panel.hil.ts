/** A panel in the loop: our driver, johnny-five and firmata-io over the real serial port, against Firmata on a pty. */
import { FirmataPanel, usualPins } from '@azukari/boards/firmata-panel'
import type { Button, Panel } from '@azukari/device/drivers'
import { systemClock } from '@azukari/protocol/adapters/clock'
import t from 'tap'
import { until } from '../site/wait.ts'
import { quietLog } from '../testkit/log.ts'
import { FirmataFirmware } from './firmata-firmware.ts'
import { PtyPair } from './pty.ts'
import { pressed } from './rigs/stack.ts'

t.setTimeout(120_000)
let pair: PtyPair
let firmware: FirmataFirmware
const pairs: PtyPair[] = []
t.teardown(() => Promise.all(pairs.map((one) => one.close())))

const make = async () => {
  pair = await PtyPair.open()
  pairs.push(pair)
  firmware = new FirmataFirmware(pair.far)
  const panel = new FirmataPanel({ path: pair.path, pins: usualPins, clock: systemClock, log: quietLog, againMs: 200 })
  await until('the panel', () => panel.isReady)
  return panel
}
const press = (panel: Panel, button: Button) => pressed(panel, button, firmware, usualPins.buttons[button]!)

t.test('S17: lamps light, the buzzer sounds, the sensor reports', async (t) => {
  const panel = await make()
  await panel.lamp('ready', 'on')
  await until('the lamp', () => (firmware.driven.get(9) ?? 0) > 0)
  await panel.lamp('ready', 'off')
  await until('no lamp', () => firmware.driven.get(9) === 0)
  await panel.lamp('busy', 'blink')
  await until('on', () => (firmware.driven.get(10) ?? 0) > 0)
  await until('and off', () => firmware.driven.get(10) === 0)
  await panel.beep()
  await until('the buzzer', () => firmware.driven.has(8))
  firmware.analog(0, 512)
  await until('half light', () => Math.abs((panel.light ?? 0) - 0.5) < 0.01)
  await t.rejects(panel.askPin(), { code: 'part.unsupported' })
  await panel.close()
})

t.test('S17: unplugged and plugged in again, it works within five seconds, lamps as they were', async (t) => {
  const panel = await make()
  await panel.lamp('problem', 'on')
  await pair.unplug()
  await until('the loss', () => !panel.isReady)
  await t.rejects(panel.lamp('ready', 'on'), { code: 'part.absent' })
  await pair.plug()
  firmware = new FirmataFirmware(pair.far)
  await until('the panel', () => panel.isReady, 5_000)
  await until('the lamp', () => (firmware.driven.get(11) ?? 0) > 0 && (firmware.driven.get(9) ?? 0) > 0)
  await press(panel, 'shutter')
  await panel.close()
})

t.test('S17: garbage on the line, a board that is mute: no crash, and it works when the board does', async (t) => {
  const panel = await make()
  for (let seed = 1; seed < 20; seed++)
    firmware.garbage(Uint8Array.from({ length: 300 }, (_, i) => (i * 37 * seed + (i >> 3)) & 0xff))
  await until('sense again', async () => {
    if (!panel.isReady) return false
    const told = press(panel, 'shutter').then(() => true)
    return Promise.race([told, new Promise<false>((resolve) => setTimeout(() => resolve(false), 300))])
  })
  firmware.isMute = true
  await until('the loss', () => !panel.isReady)
  await t.rejects(panel.lamp('ready', 'on'), { code: 'part.absent' })
  firmware.isMute = false
  await until('the panel', () => panel.isReady, 15_000)
  await panel.close()
})

t.test('S17: a contact that bounces is one press', async (t) => {
  const panel = await make()
  const heard: Button[] = []
  using _ = panel.onButton((button) => heard.push(button))
  const pin = usualPins.buttons.up!
  const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
  for (let presses = 1; presses <= 5; presses++) {
    // Closing and opening, the contact is open and closed again for some milliseconds, as worn keys are.
    for (let bounces = 0; bounces < 3; bounces++) {
      firmware.press(pin)
      await wait(9)
      firmware.release(pin)
      await wait(9)
    }
    firmware.press(pin)
    await until(`press ${presses}`, () => heard.length >= presses)
    await wait(60)
    for (let bounces = 0; bounces < 3; bounces++) {
      firmware.release(pin)
      await wait(9)
      firmware.press(pin)
      await wait(9)
    }
    firmware.release(pin)
    await wait(80)
    t.equal(heard.length, presses)
  }
  await panel.close()
})
