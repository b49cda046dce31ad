/** Problems of programs and people outside the site, at the HTTPS listener (D6, P6, P7); as part of the catalogue. */
import type { CatalogueEntry } from './entry.ts'

export const outsideProblems = {
  'api.key-required': {
    retry: 'after-fix',
    en: { title: 'There is no API key', todo: 'Send it in the header: Authorization: Bearer azk_… (the key).' },
    ja: { title: 'APIキーがありません', todo: 'ヘッダー Authorization: Bearer azk_… に付けて送ってください。' },
  },
  'api.key-refused': {
    retry: 'after-fix',
    en: {
      title: 'This API key is not known here',
      todo: 'Check that it was copied whole; if it was lost, ask the operator of the site for a new one.',
    },
    ja: {
      title: 'このAPIキーは登録されていません',
      todo: '全体が正しく写されているか確かめてください。失くした場合は、サイトの管理者に新しいキーを依頼してください。',
    },
  },
  'api.key-ended': {
    retry: 'after-fix',
    en: {
      title: 'This API key has expired or was revoked',
      todo: 'Ask the operator of the site for a new one.',
    },
    ja: {
      title: 'このAPIキーは期限切れか、取り消されています',
      todo: 'サイトの管理者に新しいキーを依頼してください。',
    },
  },
  'api.scope': {
    retry: 'after-fix',
    en: {
      title: 'This API key may not do that',
      todo: 'The detail names the scope that is missing: ask the operator of the site for a key that has it.',
    },
    ja: {
      title: 'このAPIキーではこの操作を行えません',
      todo: '不足している権限は詳細にあります。その権限を持つキーをサイトの管理者に依頼してください。',
    },
  },
  'api.wait': {
    retry: 'later',
    en: {
      title: 'Too many requests',
      todo: 'Wait as long as the detail and the header Retry-After say, then try again.',
    },
    ja: {
      title: '要求が多すぎます',
      todo: '詳細とヘッダー Retry-After に示された時間だけ待ってから、もう一度お試しください。',
    },
  },
  'api.idempotency-key': {
    retry: 'after-fix',
    en: {
      title: 'A request that changes something needs an idempotency key',
      todo: 'Send a header Idempotency-Key with up to 64 letters, digits, - and _ that you use for this request alone, and again when you repeat it.',
    },
    ja: {
      title: '変更を伴う要求には冪等キーが必要です',
      todo: 'ヘッダー Idempotency-Key に、この要求だけに使う64文字までの英数字・-・_ を付け、再送するときも同じ値を使ってください。',
    },
  },
  'api.idempotency-conflict': {
    retry: 'no',
    en: {
      title: 'This idempotency key was used for another request',
      todo: 'Use a new key for a new request; repeat a request unchanged.',
    },
    ja: {
      title: 'この冪等キーは別の要求に使われています',
      todo: '新しい要求には新しいキーを使い、再送するときは内容を変えないでください。',
    },
  },
  'url.refused': {
    retry: 'after-fix',
    en: { title: 'This link is not genuine', todo: 'Open it as it was given to you, whole; or ask for a new one.' },
    ja: {
      title: 'このリンクは正しくありません',
      todo: '受け取ったリンク全体をそのまま開くか、新しいリンクを依頼してください。',
    },
  },
  'url.expired': {
    retry: 'after-fix',
    en: { title: 'This link has expired', todo: 'Ask whoever gave it to you for a new one.' },
    ja: { title: 'このリンクの期限が切れています', todo: 'リンクをくれた人に新しいものを依頼してください。' },
  },
  'url.range': {
    retry: 'after-fix',
    en: { title: 'The file does not have this part', todo: 'Ask for the whole file, or for bytes within it.' },
    ja: { title: 'ファイルにこの範囲はありません', todo: 'ファイル全体か、その中の範囲を要求してください。' },
  },
  // Shops' webhooks (P6, P7)
  'webhook.address': {
    retry: 'after-fix',
    en: {
      title: 'Events cannot be sent to that address',
      todo: 'Give an https:// address that is reached from the internet; the operator of the site can allow others.',
    },
    ja: {
      title: 'このアドレスには通知を送れません',
      todo: 'インターネットから到達できるhttps://のアドレスを指定してください。その他のアドレスはサイトの管理者が許可できます。',
    },
  },
  'webhook.untaken': {
    retry: 'later',
    en: {
      title: 'The shop’s server did not take an event',
      todo: 'Nothing is lost: it is sent again. Check that the address answers with a status of 200 to 299 within 15 seconds.',
    },
    ja: {
      title: '店舗のサーバーが通知を受け取りませんでした',
      todo: '通知は失われず、再送されます。アドレスが15秒以内に200から299の状態で応答することを確認してください。',
    },
  },
} as const satisfies Record<string, CatalogueEntry>
