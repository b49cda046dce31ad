/** Problems of marks in pictures, of works and of sales (R1–R8), as part of the catalogue. */
import type { CatalogueEntry } from './entry.ts'

export const rightsProblems = {
  'mark.unsuitable': {
    retry: 'after-fix',
    en: {
      title: 'This picture cannot carry a mark',
      todo: 'Take a picture of the kind that the detail names: JPEG, PNG or WebP, one frame, 8 bits a channel, large enough and not flat.',
    },
    ja: {
      title: 'この画像には電子透かしを入れられません',
      todo: '詳細に示された条件に合う画像を使ってください（JPEG・PNG・WebP、静止画、各色8ビット、十分な大きさと模様があるもの）。',
    },
  },
  'mark.unreadable': {
    retry: 'no',
    en: { title: 'This file is no picture that can be read', todo: 'Take an undamaged copy of it.' },
    ja: { title: 'このファイルは画像として読み取れません', todo: '壊れていない写しを使ってください。' },
  },
  'mark.present': {
    retry: 'no',
    en: {
      title: 'The picture carries a mark already',
      todo: 'The first registration decides. If the work is yours, mark the copy of it that has no mark.',
    },
    ja: {
      title: 'この画像にはすでに電子透かしが入っています',
      todo: '先に登録されたものが有効です。ご自身の作品であれば、透かしのない原本に入れてください。',
    },
  },
  'mark.no-match': {
    retry: 'after-fix',
    en: {
      title: 'The picture could not be laid upon the original',
      todo: 'Check that it shows the same work. A cropped or rotated copy whose public mark was removed cannot be traced.',
    },
    ja: {
      title: '画像を原本と重ね合わせられませんでした',
      todo: '同じ作品かどうか確認してください。公開の透かしが消され、切り抜きや回転をされた写しは追跡できません。',
    },
  },
  'rights.registered': {
    retry: 'no',
    en: {
      title: 'This picture is registered already',
      todo: 'The first registration decides. See it with rights show and the id in the detail; if it is not yours, ask the rights operator.',
    },
    ja: {
      title: 'この画像はすでに登録されています',
      todo: '先の登録が有効です。詳細のIDを rights show で確認し、ご自身の登録でなければ権利の担当者にお問い合わせください。',
    },
  },
  'rights.work-unknown': {
    retry: 'no',
    en: { title: 'No work with this id is registered here', todo: 'Check the id with rights list.' },
    ja: { title: 'このIDの作品は登録されていません', todo: 'rights list でIDを確認してください。' },
  },
  'rights.sale-unknown': {
    retry: 'no',
    en: { title: 'There is no sale with this id', todo: 'Check the id with rights show and the id of the work.' },
    ja: { title: 'このIDの販売記録はありません', todo: '作品のIDを指定して rights show で確認してください。' },
  },
  'rights.not-offered': {
    retry: 'after-fix',
    en: {
      title: 'The work is not sold on these conditions',
      todo: 'Ask for what rights conditions shows: no longer, no more uses, resale only where it is offered.',
    },
    ja: {
      title: 'この条件では販売していません',
      todo: 'rights conditions に示された範囲（期間・利用箇所数・再販の可否）で申し込んでください。',
    },
  },
} as const satisfies Record<string, CatalogueEntry>
