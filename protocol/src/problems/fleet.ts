/** Problems of looking after a fleet (D6): upgrades, desired state, jobs, keys; as part of the catalogue. */
import type { CatalogueEntry } from './entry.ts'

export const fleetProblems = {
  // Upgrades
  'upgrade.no-key': {
    retry: 'after-fix',
    en: {
      title: 'This device does not know whose upgrades to believe',
      todo: 'Enrol the device again with a new claim, after the site has a release key.',
    },
    ja: {
      title: 'この端末には更新を検証する鍵がありません',
      todo: 'サイトにリリース鍵を用意してから、新しい登録券で端末を登録し直してください。',
    },
  },
  'upgrade.wrong-signer': {
    retry: 'no',
    en: {
      title: 'The upgrade is not signed by this site’s release key',
      todo: 'Sign the bundle with the release key of this site; if you did not make it, do not use it.',
    },
    ja: {
      title: '更新がこのサイトのリリース鍵で署名されていません',
      todo: 'このサイトのリリース鍵で署名してください。心当たりのない更新は使わないでください。',
    },
  },
  'upgrade.foreign': {
    retry: 'no',
    en: { title: 'The upgrade is for another site', todo: 'Use the bundle that was made for this site.' },
    ja: { title: '別のサイト向けの更新です', todo: 'このサイト向けに作られた更新を使ってください。' },
  },
  'upgrade.replayed': {
    retry: 'no',
    en: { title: 'This upgrade is installed already', todo: 'Nothing needs to be done.' },
    ja: { title: 'この更新は適用済みです', todo: '対応は不要です。' },
  },
  'upgrade.downgraded': {
    retry: 'no',
    en: {
      title: 'The upgrade is older than what is installed',
      todo: 'To go back, release the old version again under a higher sequence number.',
    },
    ja: {
      title: '適用済みの版より古い更新です',
      todo: '前の版に戻すには、より大きい通し番号で改めてリリースしてください。',
    },
  },
  'upgrade.runtime-too-old': {
    retry: 'after-fix',
    en: {
      title: 'The installed version is too old for this upgrade',
      todo: 'Install a version in between first; the detail names the oldest one that will do.',
    },
    ja: {
      title: '現在の版が古すぎて、この更新を適用できません',
      todo: '先に間の版へ更新してください。必要な最低の版は詳細に示されています。',
    },
  },
  'upgrade.truncated': {
    retry: 'later',
    en: { title: 'A part of the upgrade is missing', todo: 'Fetch it again; what has arrived is kept.' },
    ja: { title: '更新の一部が欠けています', todo: 'もう一度取得してください。届いた分は保たれています。' },
  },
  'upgrade.damaged': {
    retry: 'later',
    en: {
      title: 'A file of the upgrade is not what was signed',
      todo: 'Fetch it again; if it stays so, check the bundle and the medium.',
    },
    ja: {
      title: '更新のファイルが署名された内容と一致しません',
      todo: 'もう一度取得してください。続く場合は更新の内容と記録媒体を確認してください。',
    },
  },
  'upgrade.busy': {
    retry: 'later',
    en: { title: 'Another upgrade is on its way', todo: 'Wait until it is confirmed or rolled back.' },
    ja: { title: '別の更新が進行中です', todo: '確定するか元に戻るまでお待ちください。' },
  },
  'upgrade.rolled-back': {
    retry: 'after-fix',
    en: {
      title: 'The new version did not work and the old one runs again',
      todo: 'Look at the device’s log for the cause, then release a corrected version.',
    },
    ja: {
      title: '新しい版が正常に動かず、前の版に戻りました',
      todo: '端末の記録で原因を調べ、修正した版をリリースしてください。',
    },
  },

  // Jobs and desired state
  'job.unknown': {
    retry: 'no',
    en: { title: 'There is no such job', todo: 'See azukari-gateway job list.' },
    ja: { title: '該当するジョブがありません', todo: 'azukari-gateway job list で確認してください。' },
  },
  'job.timeout': {
    retry: 'later',
    en: {
      title: 'The device did not finish its part of the job in time',
      todo: 'See whether the device is connected, then begin the job again for those that failed.',
    },
    ja: {
      title: '端末が時間内にジョブを終えませんでした',
      todo: '端末の接続を確認し、失敗した端末について改めてジョブを作成してください。',
    },
  },
  'state.stale': {
    retry: 'after-fix',
    en: { title: 'The desired state was changed in the meantime', todo: 'Look at it again, then change it.' },
    ja: { title: '目標の設定はその間に変更されています', todo: '最新の内容を確認してから変更してください。' },
  },
  'state.refused': {
    retry: 'after-fix',
    en: { title: 'The device does not take a setting', todo: 'Correct the setting that the detail names.' },
    ja: { title: '端末が設定を受け付けません', todo: '詳細に示された設定を直してください。' },
  },
} as const satisfies Record<string, CatalogueEntry>
