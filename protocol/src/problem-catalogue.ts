/**
 * Every problem a person can meet: whether a retry helps, and what to tell them, in English and Japanese.
 * One entry per code, by subject in `problems/`; codes are never reused.
 *
 * `retry`: `later` the same request can succeed by itself; `after-fix` somebody must first do what `todo` says;
 * `no` the same request can never succeed.
 */
import { contentProblems } from './problems/content.ts'
import type { CatalogueEntry } from './problems/entry.ts'
import { fleetProblems } from './problems/fleet.ts'
import { hazardProblems } from './problems/hazards.ts'
import { identityProblems } from './problems/identity.ts'
import { keepingProblems } from './problems/keeping.ts'
import { keyProblems } from './problems/keys.ts'
import { ledgerProblems } from './problems/ledger.ts'
import { messageProblems } from './problems/messages.ts'
import { operatorProblems } from './problems/operators.ts'
import { outsideProblems } from './problems/outside.ts'
import { partProblems } from './problems/parts.ts'
import { rightsProblems } from './problems/rights.ts'
import { settlementProblems } from './problems/settlement.ts'
import { workProblems } from './problems/work.ts'

export const catalogue = {
  ...messageProblems,
  ...identityProblems,
  ...contentProblems,
  ...keepingProblems,
  ...keyProblems,
  ...operatorProblems,
  ...outsideProblems,
  ...partProblems,
  // Links and services
  'link.offline': {
    retry: 'later',
    en: {
      title: 'There is no connection to the gateway',
      todo: 'What you saved is kept here and sent as soon as there is one; try anything else again then.',
    },
    ja: {
      title: 'ゲートウェイに接続されていません',
      todo: '保存したものはこの端末にあり、接続が戻り次第送られます。そのほかは、戻ってからもう一度お試しください。',
    },
  },
  'link.timeout': {
    retry: 'later',
    en: { title: 'No answer came in time', todo: 'It is tried again by itself.' },
    ja: { title: '時間内に応答がありませんでした', todo: '自動で再試行します。' },
  },
  'service.unavailable': {
    retry: 'later',
    en: { title: 'The service does not answer', todo: 'Try again in a few minutes.' },
    ja: { title: 'サービスが応答しません', todo: '数分後にもう一度お試しください。' },
  },
  'service.busy': {
    retry: 'later',
    en: { title: 'The service is busy', todo: 'Try again in a moment.' },
    ja: { title: 'サービスが混み合っています', todo: '少し待ってからもう一度お試しください。' },
  },
  'quota.exceeded': {
    retry: 'later',
    en: {
      title: 'More was asked for at once than one device, address or account may use',
      todo: 'Wait until what is under way has ended, then try again. If it stays so, an operator can see in the metrics which budget is used up, and raise it in the settings.',
    },
    ja: {
      title: '一つの端末・アドレス・アカウントが一度に使える量を超えました',
      todo: '処理中のものが終わるのを待ってから、もう一度お試しください。続く場合は、係員が監視指標でどの上限に達したかを確認し、設定で引き上げられます。',
    },
  },

  ...hazardProblems,

  // Operation
  'config.invalid': {
    retry: 'after-fix',
    en: { title: 'The configuration has an error', todo: 'Correct the setting that the detail names and start again.' },
    ja: { title: '設定に誤りがあります', todo: '詳細に示された設定を直し、再起動してください。' },
  },
  'command.invalid': {
    retry: 'after-fix',
    en: {
      title: 'The command cannot be carried out as it was given',
      todo: 'Correct what is named and give it again; --help tells what it takes.',
    },
    ja: {
      title: 'このコマンドは、この形では実行できません',
      todo: '示された箇所を直して、もう一度実行してください。使い方は --help で見られます。',
    },
  },
  'folder.in-use': {
    retry: 'after-fix',
    en: {
      title: 'Another process works in this folder',
      todo: 'End that one first, or name another folder: two at once would do the same work twice.',
    },
    ja: {
      title: '別のプロセスがこのフォルダを使用しています',
      todo: '先にそのプロセスを終了するか、別のフォルダを指定してください。同時に動かすと同じ作業が二重に行われます。',
    },
  },
  'database.newer': {
    retry: 'after-fix',
    en: {
      title: 'The database was written by a newer release',
      todo: 'Install that release or a newer one; nothing was changed.',
    },
    ja: {
      title: 'データベースが新しい版で作られています',
      todo: 'その版以降をインストールしてください。変更は行われていません。',
    },
  },
  ...fleetProblems,
  ...ledgerProblems,
  ...settlementProblems,
  ...rightsProblems,
  ...workProblems,
  internal: {
    retry: 'later',
    en: {
      title: 'Something went wrong inside the system',
      todo: 'Try again; if it happens again, report it with the time.',
    },
    ja: { title: 'システム内部で問題が起きました', todo: 'もう一度試し、繰り返す場合は時刻を添えてご報告ください。' },
  },
} as const satisfies Record<string, CatalogueEntry>
