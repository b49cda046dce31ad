/** What the content menu says (S17). */
import type { ContentItem } from '@azukari/protocol/contracts/content'
import type { Language } from '@azukari/protocol/finding-text'
import { formatAmount } from '@azukari/protocol/money'

export interface ContentWords {
  content: string
  all: string
  search: string
  searchFor: string
  found: (shown: number) => string
  nothing: string
  more: string
  price: (item: ContentItem) => string
  by: (provider: string) => string
  get: (price: string) => string
  no: string
  coming: (server: string) => string
  see: string
  print: string
  play: string
  playing: (title: string) => string
  stop: string
  printed: string
}

const free = { en: 'free', ja: '無料' } as const

function priceOf({ serviceMinor, contentMinor, currency }: ContentItem, language: Language): string {
  const minor = serviceMinor + contentMinor
  return minor === 0 ? free[language] : `${formatAmount(BigInt(minor), currency)} ${currency}`
}

const words: Record<Language, ContentWords> = {
  en: {
    content: 'Pictures, music, films',
    all: 'Everything that is offered',
    search: 'Search by words',
    searchFor: 'Which words?',
    found: (shown) => (shown === 1 ? 'One is offered' : `${shown} are shown`),
    nothing: 'Nothing of that kind is offered',
    more: 'More',
    price: (item) => priceOf(item, 'en'),
    by: (provider) => `from ${provider}`,
    get: (price) => `Get it: ${price}`,
    no: 'No',
    coming: (server) => `It is coming from ${server}`,
    see: 'Show here',
    print: 'Print',
    play: 'Play here',
    playing: (title) => `Playing: ${title}`,
    stop: 'Stop',
    printed: 'It is printed',
  },
  ja: {
    content: '写真・音楽・映像',
    all: 'すべてを見る',
    search: 'ことばで探す',
    searchFor: 'どのことばで探しますか',
    found: (shown) => `${shown}件を表示しています`,
    nothing: '該当するものはありません',
    more: '続きを見る',
    price: (item) => priceOf(item, 'ja'),
    by: (provider) => `提供：${provider}`,
    get: (price) => `入手する（${price}）`,
    no: 'いいえ',
    coming: (server) => `${server} から届いています`,
    see: 'ここで見る',
    print: '印刷する',
    play: 'ここで再生する',
    playing: (title) => `再生中：${title}`,
    stop: '終わる',
    printed: '印刷しました',
  },
}

export function contentWordsOf(language: Language): ContentWords {
  return words[language]
}
