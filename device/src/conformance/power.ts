import type { Power, PowerState } from '../drivers.ts'
import type { Checks } from './suite.ts'

export interface PowerHarness {
  make(): Promise<Power>
  /** The part shows this from now on; absent where a real board cannot be made to. */
  set?(power: Power, state: PowerState): Promise<void>
}

/** W4, S17: what every power driver does. */
export async function powerConforms(t: Checks, fixture: PowerHarness): Promise<void> {
  await t.test('W4: what is told is within what can be, and what cannot be told is absent', {}, async (t) => {
    const power = await fixture.make()
    const { isOnMains, batteryPercent, temperatureC } = await power.state()
    t.ok(isOnMains === undefined || typeof isOnMains === 'boolean')
    t.ok(batteryPercent === undefined || (batteryPercent >= 0 && batteryPercent <= 100), `${batteryPercent} %`)
    t.ok(temperatureC === undefined || (temperatureC >= -40 && temperatureC <= 150), `${temperatureC} °C`)
    await power.close()
    await power.close()
  })
  const { set } = fixture
  if (!set) return
  await t.test('W4: mains that goes, a battery that empties, a board that gets hot are told', {}, async (t) => {
    const power = await fixture.make()
    const states: PowerState[] = [
      { isOnMains: true, batteryPercent: 100, temperatureC: 41 },
      { isOnMains: false, batteryPercent: 37, temperatureC: 55 },
      { isOnMains: true, batteryPercent: 38, temperatureC: 84 },
    ]
    for (const state of states) {
      await set(power, state)
      t.same(await power.state(), state)
    }
    await set(power, {})
    t.same(await power.state(), {}, 'nothing is made up')
    await power.close()
  })
}
