/** The settings that an operator may desire of a device (D6), each with what it may be; pure. */
import type { ReportedState, SettingValues } from '@azukari/protocol/contracts/fleet'

export interface Settings {
  /** How often the device says how it is, minutes. */
  'report.minutes': number
  /** What the board speaks to the person in front of it. */
  language: 'ja' | 'en'
}

const allowed: { [K in keyof Settings]: (value: unknown) => value is Settings[K] } = {
  'report.minutes': (value): value is number =>
    typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 24 * 60,
  language: (value): value is 'ja' | 'en' => value === 'ja' || value === 'en',
}

export interface Applied {
  settings: Settings
  refused: ReportedState['refused']
}

/** What comes of the desired values over the device's own: what is not known, or cannot be, is refused and named. */
export function applySettings(own: Settings, desired: SettingValues): Applied {
  const settings: Record<string, unknown> = { ...own }
  const refused: Applied['refused'] = []
  for (const [key, value] of Object.entries(desired)) {
    const fits = Object.hasOwn(allowed, key) && allowed[key as keyof Settings](value)
    if (fits) settings[key] = value
    else refused.push({ key, code: 'state.refused' })
  }
  return { settings: settings as unknown as Settings, refused }
}
