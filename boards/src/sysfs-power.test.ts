import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { powerConforms } from '@azukari/device/conformance/power'
import type { PowerState } from '@azukari/device/drivers'
import { systemFiles } from '@azukari/protocol/adapters/files'
import t from 'tap'
import { SysfsPower } from './sysfs-power.ts'

const files = systemFiles()

/** A folder that looks like /sys, as a laptop's kernel fills it. */
async function sysfs(attributes: Record<string, string>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'azukari-sysfs-'))
  t.teardown(() => rm(root, { recursive: true, force: true }))
  await fill(root, attributes)
  return root
}

async function fill(root: string, attributes: Record<string, string>): Promise<void> {
  for (const [path, text] of Object.entries(attributes)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), `${text}\n`)
  }
}

const battery = 'class/power_supply/BAT0'
const zone = 'class/thermal/thermal_zone0'

async function show(root: string, { isOnMains, batteryPercent, temperatureC }: PowerState): Promise<void> {
  await rm(join(root, 'class'), { recursive: true, force: true })
  if (batteryPercent !== undefined)
    await fill(root, {
      [`${battery}/type`]: 'Battery',
      [`${battery}/status`]: isOnMains ? 'Charging' : 'Discharging',
      [`${battery}/capacity`]: String(batteryPercent),
    })
  if (temperatureC !== undefined) await fill(root, { [`${zone}/temp`]: String(temperatureC * 1000 + 200) })
}

t.test('W4 S17: Linux’s sysfs is a power part', async (t) => {
  let root = ''
  await powerConforms(t, {
    make: async () => {
      root = await sysfs({})
      return new SysfsPower({ files, root })
    },
    set: async (_power, state) => show(root, state),
  })
})

t.test('W4: this machine’s own sysfs is told without a fault', async (t) => {
  await powerConforms(t, { make: async () => new SysfsPower({ files }) })
})

t.test('W4: a mouse’s battery is none of the board’s, a full battery on mains is mains', async (t) => {
  const root = await sysfs({
    'class/power_supply/hid-mouse/type': 'Battery',
    'class/power_supply/hid-mouse/scope': 'Device',
    'class/power_supply/hid-mouse/status': 'Discharging',
    'class/power_supply/hid-mouse/capacity': '4',
    'class/power_supply/AC/type': 'Mains',
    'class/power_supply/AC/online': '1',
    [`${battery}/type`]: 'Battery',
    [`${battery}/status`]: 'Full',
    [`${battery}/capacity`]: '100',
  })
  t.same(await new SysfsPower({ files, root }).state(), { isOnMains: true, batteryPercent: 100 })
})

t.test('W4: a board without a battery does not say that it is on battery, nonsense is not told', async (t) => {
  const root = await sysfs({
    [`${battery}/type`]: 'Battery',
    [`${battery}/status`]: 'Unknown',
    [`${battery}/capacity`]: '700',
    [`${zone}/temp`]: '-273000',
    'class/thermal/thermal_zone1/temp': '51400',
    'class/thermal/thermal_zone2/temp': '999000',
    'class/thermal/cooling_device0/temp': '99000',
  })
  t.same(await new SysfsPower({ files, root }).state(), { isOnMains: true, temperatureC: 51 })
  t.same(await new SysfsPower({ files, root: `${root}/none` }).state(), {})
})
