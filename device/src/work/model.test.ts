import t from 'tap'
import { type Conditions, type Rest, restFor } from './model.ts'
import type { WorkSetting } from './setting.ts'

const idle: Conditions = { isInUse: false, power: { isOnMains: true, temperatureC: 40 }, minuteOfDay: 12 * 60 }
const rest = (setting: Partial<WorkSetting>, conditions: Partial<Conditions> = {}, before?: Rest) =>
  restFor({ isPaused: false, ...setting }, { ...idle, ...conditions }, before)

t.test('W4: a board computes while nobody needs it, and not a moment longer', async (t) => {
  t.equal(rest({}), undefined)
  t.equal(rest({}, { isInUse: true }), 'in-use')
  t.equal(rest({ isPaused: true }), 'paused')
  t.equal(rest({}, { power: {} }), undefined, 'what a board cannot tell does not stop it')
})

t.test('W4: on battery it rests, unless its owner says otherwise', async (t) => {
  const power = { isOnMains: false, batteryPercent: 90 }
  t.equal(rest({}, { power }), 'battery')
  t.equal(rest({ isOnBatteryToo: true }, { power }), undefined)
})

t.test('W4: it rests when it is hot, and until it is clearly cooler', async (t) => {
  const at = (temperatureC: number) => ({ power: { temperatureC } })
  t.equal(rest({}, at(74)), undefined)
  t.equal(rest({}, at(75)), 'heat')
  t.equal(rest({}, at(66), 'heat'), 'heat')
  t.equal(rest({}, at(64), 'heat'), undefined)
  t.equal(rest({ restFromC: 90 }, at(80)), undefined)
})

t.test('W4: hours may go over midnight', async (t) => {
  const night = { hours: { fromMinute: 22 * 60, toMinute: 7 * 60 } }
  for (const [minute, wanted] of [
    [21 * 60 + 59, 'hours'],
    [22 * 60, undefined],
    [0, undefined],
    [6 * 60 + 59, undefined],
    [7 * 60, 'hours'],
  ] as const)
    t.equal(rest(night, { minuteOfDay: minute }), wanted, `${minute}`)
  const day = { hours: { fromMinute: 9 * 60, toMinute: 17 * 60 } }
  t.equal(rest(day, { minuteOfDay: 17 * 60 }), 'hours')
  t.equal(rest(day), undefined)
  t.equal(rest({ hours: { fromMinute: 60, toMinute: 60 } }), undefined, 'equal ends are the whole day')
})
