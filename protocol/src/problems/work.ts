/** Problems of units of work and the sandbox that runs them (W4); as part of the catalogue. */
import type { CatalogueEntry } from './entry.ts'

export const workProblems = {
  'work.module-refused': {
    retry: 'after-fix',
    en: {
      title: 'This module may not run as a unit of work',
      todo: 'Change what the detail names and build it again; docs/jobs.md says what a module may have.',
    },
    ja: {
      title: 'このモジュールは計算単位として実行できません',
      todo: '詳細に示された箇所を直して、もう一度ビルドしてください。モジュールの条件は docs/jobs.md にあります。',
    },
  },
  'work.fuel': {
    retry: 'after-fix',
    en: {
      title: 'The unit used up its fuel before it ended',
      todo: 'Check that it does not loop without end; else give it more fuel or less input.',
    },
    ja: {
      title: '計算単位が終了前に燃料を使い切りました',
      todo: '無限ループがないか確かめてください。なければ、燃料を増やすか入力を小さくしてください。',
    },
  },
  'work.stack': {
    retry: 'after-fix',
    en: { title: 'The unit called itself too deep', todo: 'Check that its recursion ends, or use a loop.' },
    ja: { title: '計算単位の呼び出しが深すぎます', todo: '再帰が終わるか確かめるか、ループに書き換えてください。' },
  },
  'work.memory': {
    retry: 'after-fix',
    en: {
      title: 'The unit needs more memory than it may have',
      todo: 'Build the module with a smaller maximum of its memory, or allow it more.',
    },
    ja: {
      title: '計算単位に許されたメモリを超えています',
      todo: 'メモリの最大値を小さくしてビルドするか、許可する量を増やしてください。',
    },
  },
  'work.time': {
    retry: 'after-fix',
    en: {
      title: 'The unit took longer than it may',
      todo: 'Give it more time or less input, or let it make checkpoints: it goes on from the last one.',
    },
    ja: {
      title: '計算単位が制限時間を超えました',
      todo: '時間を増やすか入力を小さくしてください。チェックポイントを使えば、最後の地点から続けられます。',
    },
  },
  'work.output': {
    retry: 'after-fix',
    en: {
      title: 'The unit wrote more output or state than it may',
      todo: 'Write less, or split the work into more units.',
    },
    ja: {
      title: '計算単位の出力または状態が大きすぎます',
      todo: '書き出す量を減らすか、処理をより多くの単位に分けてください。',
    },
  },
  'work.trap': {
    retry: 'after-fix',
    en: {
      title: 'The unit stopped with an error of its own',
      todo: 'The detail names it; correct the module or its input.',
    },
    ja: {
      title: '計算単位が内部のエラーで停止しました',
      todo: '詳細にエラーが示されています。モジュールか入力を直してください。',
    },
  },
  'work.checkpoint-foreign': {
    retry: 'after-fix',
    en: {
      title: 'This checkpoint is not of this unit',
      todo: 'Name the module and input that it was made with, or remove the checkpoint file to begin anew.',
    },
    ja: {
      title: 'このチェックポイントは、この計算単位のものではありません',
      todo: '作成時のモジュールと入力を指定するか、チェックポイントのファイルを消して最初から始めてください。',
    },
  },
  'work.stopped': {
    retry: 'later',
    en: {
      title: 'The unit was stopped before it ended',
      todo: 'Start it again with the same checkpoint file: it goes on from the last checkpoint.',
    },
    ja: {
      title: '計算単位は終了前に止められました',
      todo: '同じチェックポイントのファイルを指定して再開すると、最後の地点から続きます。',
    },
  },
  'work.process-ended': {
    retry: 'later',
    en: {
      title: 'The process that computed the unit ended by itself',
      todo: 'Look whether the board is short of memory; the unit is computed again.',
    },
    ja: {
      title: '計算単位のプロセスが勝手に終了しました',
      todo: '端末のメモリが足りているか確かめてください。計算単位はもう一度計算されます。',
    },
  },
  'work.unregistered': {
    retry: 'after-fix',
    en: {
      title: 'This device is not registered for work',
      todo: 'Ask the site for an owner’s code and type: azukari-device work join CODE.',
    },
    ja: {
      title: 'この端末は計算に登録されていません',
      todo: 'サイトから所有者コードを受け取り、azukari-device work join コード を実行してください。',
    },
  },
  'work.owner-code': {
    retry: 'after-fix',
    en: {
      title: 'No owner has this code',
      todo: 'Compare it with the code that azukari-gateway work owner add has shown, and join again.',
    },
    ja: {
      title: 'このコードの所有者はいません',
      todo: 'azukari-gateway work owner add で表示されたコードと見比べて、もう一度登録してください。',
    },
  },
  'work.owner-known': {
    retry: 'after-fix',
    en: { title: 'An owner of this name is registered already', todo: 'Choose another name.' },
    ja: { title: 'この名前の所有者はすでに登録されています', todo: '別の名前にしてください。' },
  },
  'work.owner-unknown': {
    retry: 'after-fix',
    en: { title: 'No owner of this name is registered', todo: 'See azukari-gateway work owner list.' },
    ja: { title: 'この名前の所有者は登録されていません', todo: 'azukari-gateway work owner list で確かめてください。' },
  },
  'work.no-member': {
    retry: 'after-fix',
    en: {
      title: 'The site does not know which member this owner is',
      todo: 'Tell the site your member number; an operator types: azukari-gateway work owner member OWNER NUMBER.',
    },
    ja: {
      title: 'この所有者の会員番号が登録されていません',
      todo: '会員番号をサイトに伝えてください。運用者が azukari-gateway work owner member 所有者 会員番号 で登録します。',
    },
  },
  'work.points-short': {
    retry: 'after-fix',
    en: {
      title: 'There are not so many points',
      todo: 'Redeem at most what azukari-device work status shows as left.',
    },
    ja: {
      title: 'ポイントが足りません',
      todo: 'azukari-device work status に表示される残りのポイント以内で交換してください。',
    },
  },
  'work.unit-gone': {
    retry: 'no',
    en: {
      title: 'This device does not hold the unit any more',
      todo: 'Nothing: the device asks for another one.',
    },
    ja: {
      title: 'この端末は、この計算単位をもう担当していません',
      todo: '操作は不要です。端末は次の計算単位を受け取ります。',
    },
  },
  'work.result-forged': {
    retry: 'no',
    en: {
      title: 'The result is not what its signature says',
      todo: 'Look at the device: another device’s result, or output that was changed on its way.',
    },
    ja: {
      title: '結果が署名の内容と一致しません',
      todo: '端末を調べてください。別の端末の結果か、途中で変えられた出力です。',
    },
  },
  'work.torn': {
    retry: 'after-fix',
    en: {
      title: 'Devices do not agree on the result of this unit',
      todo: 'See azukari-gateway work units; look whether the module gives the same output for the same input.',
    },
    ja: {
      title: 'この計算単位の結果が端末の間で一致しません',
      todo: 'azukari-gateway work units を見て、同じ入力から同じ出力になるモジュールか確かめてください。',
    },
  },
  'work.job-unknown': {
    retry: 'after-fix',
    en: { title: 'There is no such job', todo: 'See azukari-gateway work list.' },
    ja: { title: 'その計算依頼はありません', todo: 'azukari-gateway work list で確かめてください。' },
  },
  'work.job-ended': {
    retry: 'no',
    en: { title: 'The job has ended already', todo: 'See azukari-gateway work show.' },
    ja: { title: 'この計算依頼はすでに終わっています', todo: 'azukari-gateway work show で確かめてください。' },
  },
  'work.job-not-done': {
    retry: 'later',
    en: {
      title: 'Not all units of the job are valid yet',
      todo: 'Wait (azukari-gateway work show --follow), or take what is there with --partial.',
    },
    ja: {
      title: 'この計算依頼には、まだ結果の出ていない計算単位があります',
      todo: 'お待ちください（azukari-gateway work show --follow）。途中の結果は --partial で取り出せます。',
    },
  },
  'work.job-too-large': {
    retry: 'after-fix',
    en: {
      title: 'The job is larger than the site takes',
      todo: 'The detail names the limit: submit it in parts, or fetch the units one by one with --unit.',
    },
    ja: {
      title: '計算依頼が大きすぎます',
      todo: '詳細に上限が示されています。分けて依頼するか、--unit で計算単位ごとに取り出してください。',
    },
  },
  'licence.app-unknown': {
    retry: 'after-fix',
    en: { title: 'The site has no such app', todo: 'See azukari-gateway work licence apps.' },
    ja: { title: 'このサイトにそのアプリはありません', todo: 'azukari-gateway work licence apps で確かめてください。' },
  },
  'licence.app-known': {
    retry: 'after-fix',
    en: { title: 'An app of this name is there already', todo: 'Choose another name.' },
    ja: { title: 'この名前のアプリはすでにあります', todo: '別の名前にしてください。' },
  },
  'licence.unknown': {
    retry: 'after-fix',
    en: { title: 'This board has no licence for the app', todo: 'Get one: azukari-device licence get APP.' },
    ja: {
      title: 'この端末には、このアプリのライセンスがありません',
      todo: 'azukari-device licence get アプリ で取得してください。',
    },
  },
  'licence.other-device': {
    retry: 'after-fix',
    en: {
      title: 'This licence is another device’s',
      todo: 'Get one for this device: azukari-device licence get APP.',
    },
    ja: {
      title: 'このライセンスは別の端末のものです',
      todo: 'この端末のライセンスを azukari-device licence get アプリ で取得してください。',
    },
  },
  'licence.other-app': {
    retry: 'after-fix',
    en: { title: 'This licence is for another app', todo: 'Get one for this app: azukari-device licence get APP.' },
    ja: {
      title: 'このライセンスは別のアプリのものです',
      todo: 'このアプリのライセンスを azukari-device licence get アプリ で取得してください。',
    },
  },
  'licence.revoked': {
    retry: 'no',
    en: { title: 'This licence has been taken back', todo: 'Ask the site why.' },
    ja: { title: 'このライセンスは取り消されました', todo: 'サイトに確認してください。' },
  },
  'licence.expired': {
    retry: 'later',
    en: {
      title: 'The licence has run out',
      todo: 'Let the board take part in work with a line to the site: it renews the licence by itself.',
    },
    ja: {
      title: 'ライセンスの期限が切れています',
      todo: '端末をサイトに接続し、計算に参加させてください。ライセンスは自動で更新されます。',
    },
  },
  'licence.idle': {
    retry: 'after-fix',
    en: {
      title: 'The licence counts only while the board takes part in work',
      todo: 'Join (azukari-device work join CODE) or go on (azukari-device work resume).',
    },
    ja: {
      title: 'ライセンスは、端末が計算に参加している間だけ有効です',
      todo: 'azukari-device work join コード で参加するか、azukari-device work resume で再開してください。',
    },
  },
  'licence.forged': {
    retry: 'no',
    en: { title: 'The licence was not given by this site', todo: 'Get one: azukari-device licence get APP.' },
    ja: {
      title: 'このサイトが発行したライセンスではありません',
      todo: 'azukari-device licence get アプリ で取得してください。',
    },
  },
  'licence.lost': {
    retry: 'later',
    en: {
      title: 'The licence app has stopped, so the app stops, too',
      todo: 'Start the board (azukari-device run), then the app.',
    },
    ja: {
      title: 'ライセンスアプリが止まったため、アプリも停止しました',
      todo: '端末（azukari-device run）を起動してから、アプリを起動してください。',
    },
  },
} as const satisfies Record<string, CatalogueEntry>
