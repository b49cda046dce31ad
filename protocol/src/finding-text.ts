/** What a member is told of a finding (S11, S12), in words. */
import type { Finding } from './contracts/audit.ts'

export type Language = 'ja' | 'en'

const texts: Record<Finding['kind'], Record<Language, string>> = {
  media: { en: 'one copy was damaged by its disk', ja: '控えの一つがディスクの故障で壊れました' },
  tampering: { en: 'one copy was changed by somebody', ja: '控えの一つが何者かに書き換えられました' },
  unexplained: {
    en: 'one copy was not as it should be; why is not known',
    ja: '控えの一つに原因不明の異常がありました',
  },
  rollback: { en: 'one copy had gone back to an older state', ja: '控えの一つが古い状態に戻っていました' },
  impostor: {
    en: 'somebody answered in the name of a server that keeps your data; nothing was sent to it',
    ja: 'お預かりサーバになりすました応答がありました。何も送っていません',
  },
  contained: {
    en: 'a server that keeps your data was shut off to be examined',
    ja: 'お預かりサーバの一つを点検のため切り離しました',
  },
}

/** One or two sentences for a display or a terminal. */
export function findingText(finding: Finding, language: Language): string {
  const { kind, server, name, differs, ranges, restored } = finding
  const what = texts[kind][language]
  const subject = name ?? server
  const [first] = ranges
  if (language === 'ja') {
    const where = first ? `（${differs}バイト、先頭は${first.from}〜${first.to - 1}バイト目）` : ''
    return `${subject}：${what}${where}。${restored ? 'もう一つの控えから元に戻しました。' : '元に戻しているところです。'}`
  }
  const where = first ? ` (${differs} bytes, first at ${first.from} to ${first.to - 1})` : ''
  return `${subject}: ${what}${where}. ${restored ? 'It is whole again.' : 'It is being made whole again.'}`
}
