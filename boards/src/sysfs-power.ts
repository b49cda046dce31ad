/**
 * Mains, battery and temperature as Linux tells them: `class/power_supply` (Documentation/ABI/testing/sysfs-class-power) and
 * `class/thermal` (sysfs-class-thermal) of the kernel. Batteries of mice and pens are none of the board's.
 */
import { type Power, type PowerState, partProblem } from '@azukari/device/drivers'
import type { Files } from '@azukari/protocol/ports'
import { isProblem } from '@azukari/protocol/problem'

export interface SysfsPowerOptions {
  files: Files
  root?: string
}

/** An attribute of sysfs is one page at most. */
const attributeMaxBytes = 4096
/** What no sensor of a board that works can mean, °C. */
const temperatureRange = [-40, 150] as const

export class SysfsPower implements Power {
  readonly model = 'Linux power supply'
  readonly #files: Files
  readonly #root: string

  constructor({ files, root = '/sys' }: SysfsPowerOptions) {
    this.#files = files
    this.#root = root
  }

  async state(): Promise<PowerState> {
    const state: PowerState = {}
    const isFed: boolean[] = []
    const percents: number[] = []
    for (const name of await this.#list('class/power_supply')) {
      const at = `class/power_supply/${name}`
      if ((await this.#text(`${at}/scope`)) === 'Device') continue
      if ((await this.#text(`${at}/type`)) === 'Battery') {
        const status = await this.#text(`${at}/status`)
        if (status !== undefined) isFed.push(status !== 'Discharging')
        const percent = await this.#number(`${at}/capacity`)
        if (percent !== undefined && percent >= 0 && percent <= 100) percents.push(percent)
      } else {
        const online = await this.#number(`${at}/online`)
        if (online !== undefined && online > 0) isFed.push(true)
      }
    }
    if (isFed.length > 0) state.isOnMains = isFed.some(Boolean)
    if (percents.length > 0) state.batteryPercent = Math.min(...percents)
    const hottest = await this.#hottest()
    if (hottest !== undefined) state.temperatureC = hottest
    return state
  }

  async close(): Promise<void> {}

  async #hottest(): Promise<number | undefined> {
    const [lowest, highest] = temperatureRange
    let hottest: number | undefined
    for (const name of await this.#list('class/thermal')) {
      if (!name.startsWith('thermal_zone')) continue
      const milli = await this.#number(`class/thermal/${name}/temp`)
      const degrees = milli === undefined ? undefined : Math.round(milli / 1000)
      if (degrees === undefined || degrees < lowest || degrees > highest) continue
      hottest = Math.max(hottest ?? degrees, degrees)
    }
    return hottest
  }

  async #list(path: string): Promise<string[]> {
    try {
      return await this.#files.list(`${this.#root}/${path}`)
    } catch (error) {
      throw partProblem('power', 'failed', String(error))
    }
  }

  /** An attribute; undefined where the part has none, or does not tell it now. */
  async #text(path: string): Promise<string | undefined> {
    try {
      const file = await this.#files.open(`${this.#root}/${path}`, 'read')
      try {
        return Buffer.from(await file.read(0, attributeMaxBytes))
          .toString('utf8')
          .trim()
      } finally {
        await file.close()
      }
    } catch (error) {
      if (isProblem(error)) return undefined
      throw error
    }
  }

  async #number(path: string): Promise<number | undefined> {
    const text = await this.#text(path)
    const value = text === undefined || text === '' ? Number.NaN : Number(text)
    return Number.isFinite(value) ? value : undefined
  }
}
