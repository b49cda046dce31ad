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
  'rights.alike': {
    retry: 'after-fix',
    en: {
      title: 'This picture looks like a work that is registered',
      todo: 'See it with rights show and the id in the detail. If yours is another picture, such as the next one of a series, register it with --another.',
    },
    ja: {
      title: '登録済みの作品とよく似た画像です',
      todo: '詳細のIDを rights show で確認してください。連写の次の一枚など別の画像であれば、--another を付けて登録してください。',
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
  'rights.no-mark': {
    retry: 'no',
    en: {
      title: 'No work of this site can be read from this picture',
      todo: 'If you know which work it is, or the detail names one that it looks like and you see that it is, name it with --work.',
    },
    ja: {
      title: 'この画像から、このサイトの作品IDを読み取れません',
      todo: 'どの作品か分かる場合、または詳細に示された似た作品がその作品だと確認できた場合は、--work で指定してください。',
    },
  },
  'rights.location': {
    retry: 'after-fix',
    en: { title: 'This is no address of a copy', todo: 'Give the http or https address of the picture itself.' },
    ja: {
      title: '画像のアドレスではありません',
      todo: '画像そのものの http または https のアドレスを指定してください。',
    },
  },
  'rights.case-unknown': {
    retry: 'no',
    en: { title: 'There is no case with this number', todo: 'Look for it with rights cases.' },
    ja: { title: 'この番号の案件はありません', todo: 'rights cases で番号を確認してください。' },
  },
  'rights.case-decided': {
    retry: 'no',
    en: { title: 'This case is decided already', todo: 'See what was decided with rights case.' },
    ja: { title: 'この案件はすでに決定済みです', todo: '決定の内容は rights case で確認してください。' },
  },
  'rights.no-buyer': {
    retry: 'no',
    en: {
      title: 'No buyer is known in this case',
      todo: 'Only a sale that the copy was traced to can be stopped or charged. Wait for the tracing, or dismiss the case.',
    },
    ja: {
      title: 'この案件では購入者が特定されていません',
      todo: '停止と追加料金は、追跡で特定された販売に対してだけ決定できます。追跡を待つか、案件を終了してください。',
    },
  },
  'copy.unreachable': {
    retry: 'later',
    en: { title: 'The copy could not be fetched', todo: 'It is tried again by itself. See whether its address opens.' },
    ja: { title: '複製を取得できませんでした', todo: '自動で再試行します。アドレスが開けるか確認してください。' },
  },
  'copy.gone': {
    retry: 'no',
    en: { title: 'The copy is not there any more', todo: 'Nothing need be done about this address.' },
    ja: { title: '複製はすでにありません', todo: 'このアドレスについての対応は不要です。' },
  },
  'copy.refused': {
    retry: 'no',
    en: {
      title: 'The address of the copy must not be fetched from here',
      todo: 'It is not public, has no TLS or redirects too often. If the site may fetch it, name its host in rights.json (fetch).',
    },
    ja: {
      title: 'このアドレスからは取得できません',
      todo: '公開アドレスでない、TLSがない、または転送が多すぎます。取得してよい場合は rights.json の fetch に加えてください。',
    },
  },
  'copy.too-large': {
    retry: 'no',
    en: { title: 'What is at this address is too large', todo: 'Up to 32 MiB are fetched: look at it yourself.' },
    ja: {
      title: 'このアドレスのデータは大きすぎます',
      todo: '取得できるのは 32 MiB までです。ご自身で確認してください。',
    },
  },
  'copy.no-picture': {
    retry: 'no',
    en: { title: 'No picture is at this address', todo: 'Give the address of the picture itself, not of the page.' },
    ja: { title: 'このアドレスに画像はありません', todo: 'ページではなく、画像そのもののアドレスを指定してください。' },
  },
  'mail.unreachable': {
    retry: 'later',
    en: {
      title: 'The mail server cannot be reached',
      todo: 'It is tried again by itself. Check “mail” in the service’s settings.',
    },
    ja: {
      title: 'メールサーバーに接続できません',
      todo: '自動で再試行します。サービスの設定の mail を確認してください。',
    },
  },
  'mail.refused': {
    retry: 'no',
    en: { title: 'The mail server refuses this mail', todo: 'Check the address, and write to it by other means.' },
    ja: { title: 'メールサーバーが送信を拒否しました', todo: '宛先を確認し、ほかの方法で連絡してください。' },
  },
} as const satisfies Record<string, CatalogueEntry>
