/** Problems of content (C1–C14), as part of the catalogue. */
import type { CatalogueEntry } from './entry.ts'

export const contentProblems = {
  'content.unknown': {
    retry: 'no',
    en: { title: 'There is no such content', todo: 'Look for it in the list; it may be there under another name.' },
    ja: {
      title: 'そのコンテンツはありません',
      todo: '一覧から探してください。別の名前になっている場合があります。',
    },
  },
  'content.withdrawn': {
    retry: 'no',
    en: { title: 'Its provider offers this content no more', todo: 'Choose something else. Nothing was charged.' },
    ja: {
      title: 'このコンテンツは提供が終了しました',
      todo: 'ほかのものを選んでください。料金はかかっていません。',
    },
  },
  'content.price-changed': {
    retry: 'after-fix',
    en: {
      title: 'Price or version has changed since it was shown',
      todo: 'Look at it again and decide anew. Nothing was charged.',
    },
    ja: {
      title: '表示後に料金または版が変わりました',
      todo: 'もう一度内容を確かめて選び直してください。料金はかかっていません。',
    },
  },
  'object.unavailable': {
    retry: 'later',
    en: {
      title: 'No server has this content just now',
      todo: 'Try again later. Nothing was charged.',
    },
    ja: {
      title: '現在このコンテンツを持つサーバーがありません',
      todo: '時間をおいてもう一度お試しください。料金はかかっていません。',
    },
  },
  'content.unsuitable': {
    retry: 'after-fix',
    en: {
      title: 'This file cannot be offered',
      todo: 'Take a file that is not empty, is what its ending says and has at most 64 MiB, and give it a title; a picture for the list has at most 48 KiB.',
    },
    ja: {
      title: 'このファイルは提供できません',
      todo: '空でなく、拡張子どおりの形式で64MiB以下のファイルを、題名を付けて登録してください。一覧用の画像は48KiB以下です。',
    },
  },
} as const satisfies Record<string, CatalogueEntry>
