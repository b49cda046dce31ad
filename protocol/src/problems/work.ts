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
} as const satisfies Record<string, CatalogueEntry>
