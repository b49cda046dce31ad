/** Problems of keeping objects (S4, S7): transfers, storage, placement, data servers, replicas; as part of the catalogue. */
import type { CatalogueEntry } from './entry.ts'

export const keepingProblems = {
  // Transfers and storage
  'transfer.unknown': {
    retry: 'after-fix',
    en: { title: 'This transfer is not known', todo: 'Start the transfer again.' },
    ja: { title: 'この転送は見つかりません', todo: '転送を最初からやり直してください。' },
  },
  'transfer.bad-block': {
    retry: 'later',
    en: { title: 'A part arrived damaged', todo: 'Nothing to do: it is asked for again by itself.' },
    ja: { title: 'データの一部が壊れて届きました', todo: 'そのままお待ちください。自動で送り直されます。' },
  },
  'transfer.bad-root': {
    retry: 'after-fix',
    en: {
      title: 'The whole does not match what was announced',
      todo: 'Send it again from the start; do not change the file meanwhile.',
    },
    ja: {
      title: '届いたデータが予告された内容と一致しません',
      todo: '最初から送り直してください。その間ファイルを変更しないでください。',
    },
  },
  'transfer.quota': {
    retry: 'after-fix',
    en: {
      title: 'Too much is being transferred at once, or the allowance is used up',
      todo: 'Wait until running transfers end, or free some of the allowance.',
    },
    ja: { title: '転送量の上限に達しました', todo: '進行中の転送が終わるのを待つか、不要なものを減らしてください。' },
  },
  'transfer.too-large': {
    retry: 'no',
    en: { title: 'The file is larger than allowed', todo: 'Send a smaller file, or split it.' },
    ja: { title: 'ファイルが大きすぎます', todo: '小さいファイルにするか、分けて送ってください。' },
  },
  'transfer.expired': {
    retry: 'after-fix',
    en: { title: 'The transfer took too long and was given up', todo: 'Start the transfer again.' },
    ja: { title: '転送の期限が過ぎたため中止しました', todo: '転送を最初からやり直してください。' },
  },
  'transfer.incomplete': {
    retry: 'later',
    en: {
      title: 'Parts of the transfer are still missing',
      todo: 'Nothing to do: they are sent by themselves. Keep the device switched on.',
    },
    ja: { title: '転送がまだ完了していません', todo: '機器の電源を入れたままお待ちください。残りは自動で送られます。' },
  },
  'storage.full': {
    retry: 'after-fix',
    en: { title: 'The storage is full', todo: 'Free space or add storage. Nothing that was kept is lost.' },
    ja: {
      title: '記憶領域がいっぱいです',
      todo: '空きを作るか、記憶装置を追加してください。保存済みのデータは失われていません。',
    },
  },
  'storage.failed': {
    retry: 'after-fix',
    en: {
      title: 'The storage does not work properly',
      todo: 'Do not switch off. Tell the operator: the medium may need replacement.',
    },
    ja: {
      title: '記憶装置が正しく動作していません',
      todo: '電源を切らずに係員に知らせてください。媒体の交換が必要な場合があります。',
    },
  },
  'storage.unreachable': {
    retry: 'later',
    en: {
      title: 'The database server does not answer',
      todo: 'Nothing to do: what waits goes on by itself. Operators: see whether PostgreSQL runs and can be reached (azukari-gateway doctor).',
    },
    ja: {
      title: 'データベースサーバーが応答しません',
      todo: 'そのままお待ちください。自動で再開します。係員はPostgreSQLの稼働と接続を確認してください（azukari-gateway doctor）。',
    },
  },
  'storage.held': {
    retry: 'later',
    en: {
      title: 'Another process works with this database',
      todo: 'Nothing to do: what waits goes on with that one. Operators: let only one process of each service run, on one host.',
    },
    ja: {
      title: '別のプロセスがこのデータベースを使用しています',
      todo: 'そのままお待ちください。そのプロセスが続きを処理します。係員は、各サービスのプロセスを一台で一つだけ動かしてください。',
    },
  },
  'outbox.full': {
    retry: 'after-fix',
    en: {
      title: 'Too much is waiting to be sent',
      todo: 'Restore the network; then it empties by itself. What is waiting is not lost.',
    },
    ja: {
      title: '送信待ちがいっぱいです',
      todo: 'ネットワークを復旧してください。送信待ちの内容は失われず、復旧後に自動で送られます。',
    },
  },

  // Placement, data servers, replicas
  'placement.no-server': {
    retry: 'later',
    en: {
      title: 'No permitted data server can be reached',
      todo: 'Your data waits safely and is placed as soon as a server answers.',
    },
    ja: {
      title: '利用できるデータサーバに接続できません',
      todo: 'データは安全に待機しており、サーバが応答し次第お預かりします。',
    },
  },
  'placement.unavailable': {
    retry: 'later',
    en: { title: 'The placement service does not answer', todo: 'Your data waits safely; nothing to do.' },
    ja: { title: '配置サービスが応答しません', todo: 'データは安全に待機しています。そのままお待ちください。' },
  },
  'server.unreachable': {
    retry: 'later',
    en: {
      title: 'The data server does not answer',
      todo: 'It is tried again by itself; the other copy is used meanwhile.',
    },
    ja: { title: 'データサーバが応答しません', todo: '自動で再試行します。その間はもう一方の複製を使います。' },
  },
  'server.impostor': {
    retry: 'no',
    en: {
      title: 'The data server could not prove who it is',
      todo: 'Nothing was sent to it. Another server is chosen by itself.',
    },
    ja: {
      title: 'データサーバの身元を確認できませんでした',
      todo: 'このサーバには何も送っていません。別のサーバが自動で選ばれます。',
    },
  },
  'server.contained': {
    retry: 'after-fix',
    en: {
      title: 'The data server is shut off while it is examined',
      todo: 'Examine the server and release it; its members are served by others meanwhile.',
    },
    ja: {
      title: 'データサーバは調査のため切り離されています',
      todo: 'サーバを点検してから解除してください。その間は別のサーバが対応します。',
    },
  },
  'server.in-use': {
    retry: 'later',
    en: {
      title: 'Something is left on this data server',
      todo: 'Wait until azukari-gateway servers shows that it is empty; drain it first if it is in use.',
    },
    ja: {
      title: 'このデータサーバにはまだデータが残っています',
      todo: 'azukari-gateway servers で空になったことを確かめてください。使用中のときは先に drain してください。',
    },
  },
  'server.not-leaving': {
    retry: 'no',
    en: {
      title: 'The data server is in another state',
      todo: 'azukari-gateway servers shows it: only one in use is drained, and only one that is drained, or lost, is removed.',
    },
    ja: {
      title: 'データサーバの状態が合いません',
      todo: 'azukari-gateway servers で状態を確かめてください。drain は使用中のもの、remove は drain 済みか失われたものだけです。',
    },
  },
  'server.refused': {
    retry: 'after-fix',
    en: {
      title: 'The data server refused the request',
      todo: 'See the detail; the server may be full or configured otherwise.',
    },
    ja: {
      title: 'データサーバが要求を受け付けませんでした',
      todo: '詳細を確認してください。空きがないか、設定が異なる可能性があります。',
    },
  },
  'replica.missing': {
    retry: 'later',
    en: { title: 'One copy of the data is missing', todo: 'It is restored from the other copy by itself.' },
    ja: { title: 'データの複製が一つ見つかりません', todo: 'もう一方の複製から自動で復元されます。' },
  },
  'replica.damaged': {
    retry: 'later',
    en: { title: 'One copy of the data is damaged', todo: 'It is restored from the other copy by itself.' },
    ja: { title: 'データの複製の一つが壊れています', todo: 'もう一方の複製から自動で復元されます。' },
  },
  'replica.foreign': {
    retry: 'no',
    en: { title: 'This data belongs to another member', todo: 'Use the card of the member whose data it is.' },
    ja: { title: 'これは別の会員のデータです', todo: 'そのデータをお持ちの会員のカードを使ってください。' },
  },
  'replica.conflict': {
    retry: 'no',
    en: {
      title: 'The data server already holds other data under this name',
      todo: 'Keep the data as a new version; if this comes again, report it.',
    },
    ja: {
      title: 'データサーバには同じ名前で別のデータがすでにあります',
      todo: '新しい版として保存してください。繰り返す場合はご報告ください。',
    },
  },
  'replica.superseded': {
    retry: 'no',
    en: {
      title: 'A newer placement of this data is already in force',
      todo: 'Nothing needs to be done: the newer one stands.',
    },
    ja: {
      title: 'このデータには、より新しい配置がすでに有効です',
      todo: '対応は不要です。新しい配置が使われます。',
    },
  },
  'object.unknown': {
    retry: 'no',
    en: { title: 'There is no such object', todo: 'Refresh the list and choose again.' },
    ja: { title: '指定されたデータはありません', todo: '一覧を更新し、選び直してください。' },
  },

  'object.erased': {
    retry: 'no',
    en: {
      title: 'This was deleted at its member’s wish',
      todo: 'Nothing to do. Save it anew if you want it kept after all.',
    },
    ja: {
      title: 'このデータは会員の希望により削除されました',
      todo: '何もする必要はありません。やはり預けたい場合は、あらためて保存してください。',
    },
  },
} as const satisfies Record<string, CatalogueEntry>
