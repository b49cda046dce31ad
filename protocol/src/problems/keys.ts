/** Problems of the key directory (ARCHITECTURE §3, decision 14), as part of the catalogue. */
import type { CatalogueEntry } from './entry.ts'

export const keyProblems = {
  'keys.forged': {
    retry: 'no',
    en: {
      title: 'This list of keys is not signed by this site',
      todo: 'It was not taken; the keys known before still count. If it comes again, tell the operator that somebody on the line pretends to be the site.',
    },
    ja: {
      title: 'この鍵の一覧には、このサイトの署名がありません',
      todo: '一覧は取り入れず、前の鍵を使い続けます。繰り返す場合は、誰かがサイトになりすましていると係員に伝えてください。',
    },
  },
  'keys.wrong-site': {
    retry: 'no',
    en: {
      title: 'This list of keys is another site’s',
      todo: 'It was not taken. See that the device or data server is set up for the right site.',
    },
    ja: {
      title: '別のサイトの鍵の一覧です',
      todo: '一覧は取り入れませんでした。端末やデータサーバーの設定が正しいサイトを指しているか確認してください。',
    },
  },
  'keys.stale': {
    retry: 'no',
    en: {
      title: 'This list of keys is older than the one known here',
      todo: 'Nothing needs to be done: the newer one still counts. If it does not stop, see whether an old backup of the gateway was put back.',
    },
    ja: {
      title: '手元のものより古い鍵の一覧です',
      todo: '新しい方を使い続けるので、対応は不要です。続く場合は、ゲートウェイの古い控えを戻していないか確認してください。',
    },
  },
  'keys.expired': {
    retry: 'later',
    en: {
      title: 'The site’s list of keys is out of date here',
      todo: 'Connect this device to the site once: it fetches the new list by itself, and goes on.',
    },
    ja: {
      title: '手元にあるサイトの鍵の一覧は期限切れです',
      todo: 'この端末を一度サイトに接続してください。新しい一覧を自動で受け取り、作業を続けます。',
    },
  },
  'keys.missing': {
    retry: 'later',
    en: {
      title: 'The site’s list of keys has no key of this service',
      todo: 'Try again when the device has a connection. If it stays so, an operator looks at what azukari-gateway key list shows.',
    },
    ja: {
      title: 'サイトの鍵の一覧に、このサービスの鍵がありません',
      todo: '接続してからもう一度お試しください。続く場合は、係員が azukari-gateway key list で確認してください。',
    },
  },
  'keys.revoked': {
    retry: 'no',
    en: {
      title: 'This key was revoked: somebody else may have it',
      todo: 'It was not believed, and nothing is sealed to it. An operator replaces the keys of the service (azukari-gateway key rotate); what was made with them since is made again.',
    },
    ja: {
      title: '失効した鍵です。第三者に渡ったおそれがあります',
      todo: 'この鍵によるものは信用せず、この鍵では封印しません。係員がサービスの鍵を更新し（azukari-gateway key rotate）、失効後に作られたものは作り直してください。',
    },
  },
  'keys.in-use': {
    retry: 'after-fix',
    en: {
      title: 'This key has no successor yet',
      todo: 'Replace the keys of the service first (azukari-gateway key rotate SERVICE), and revoke the former one then.',
    },
    ja: {
      title: 'この鍵の後継がまだありません',
      todo: '先にサービスの鍵を更新し（azukari-gateway key rotate サービス名）、その後で前の鍵を失効させてください。',
    },
  },
  'keys.retired': {
    retry: 'no',
    en: {
      title: 'This was made for a key that is out of use',
      todo: 'The time in which both keys count is over. Make it again on a device that is connected to the site.',
    },
    ja: {
      title: 'すでに使われなくなった鍵で作られています',
      todo: '新旧両方の鍵を受け付ける期間が過ぎました。サイトに接続した端末で作り直してください。',
    },
  },
  'keys.under-way': {
    retry: 'later',
    en: {
      title: 'The keys of this service are being replaced already',
      todo: 'Wait until the new keys are in use; azukari-gateway key list shows it.',
    },
    ja: {
      title: 'このサービスの鍵はすでに交換中です',
      todo: '新しい鍵が使われ始めるまで待ってください。azukari-gateway key list で確認できます。',
    },
  },
  'keys.fixed': {
    retry: 'no',
    en: {
      title: 'The keys of this service cannot be replaced while the site runs',
      todo: 'See the operators’ manual, “Keys”: it says which keys can be replaced, and how the others are.',
    },
    ja: {
      title: 'このサービスの鍵は、稼働中には交換できません',
      todo: '運用の手引きの「鍵」の項を参照してください。交換できる鍵と、そのほかの鍵の扱いが書かれています。',
    },
  },
} as const satisfies Record<string, CatalogueEntry>
