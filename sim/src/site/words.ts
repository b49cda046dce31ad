/** What the page and the console say of the simulated site, in both languages. */
import { regions } from '@azukari/gateway/geography'
import type { Language } from '@azukari/protocol/finding-text'

export type Said = Record<Language, string>

const boards: Record<string, string> = { Camera: 'カメラ', Printer: 'プリンタ', Terminal: '端末機' }
const servers: Record<string, string> = {
  Ishikari: '石狩',
  Inzai: '印西',
  Nagano: '長野',
  Osaka: '大阪',
  Kochi: '高知',
  Fukuoka: '福岡',
  Singapore: 'シンガポール',
  Hillsboro: 'ヒルズボロ',
  Frankfurt: 'フランクフルト',
}

/** A name of a board or a data server of the simulated site. */
export function nameOf(name: string): Said {
  return { en: name, ja: boards[name] ?? servers[name] ?? name }
}

const abroad: Record<string, string> = { SG: 'シンガポール', 'US-OR': 'オレゴン州', 'DE-HE': 'ヘッセン州' }

/** A region by its code. */
export function regionName(code: string): Said {
  const fact = regions.get(code)
  return { en: fact?.name ?? code, ja: fact?.nameJa ?? abroad[code] ?? fact?.name ?? code }
}

/** One sentence in both languages; what differs between them is put in by `build`. */
export function say(build: (language: Language) => string): Said {
  return { en: build('en'), ja: build('ja') }
}
