/** Problems of who somebody is: sessions, devices and their claims, cards and members; as part of the catalogue. */
import type { CatalogueEntry } from './entry.ts'

export const identityProblems = {
  // Sessions, devices, claims
  'session.unknown': {
    retry: 'later',
    en: { title: 'The session is not known any more', todo: 'Nothing to do: the device greets again and goes on.' },
    ja: { title: 'セッションが見つかりません', todo: 'そのままお待ちください。機器が自動で接続し直します。' },
  },
  'session.expired': {
    retry: 'after-fix',
    en: { title: 'The session has ended', todo: 'Put the card in again.' },
    ja: { title: 'セッションが終了しました', todo: 'もう一度カードを入れてください。' },
  },
  'session.required': {
    retry: 'after-fix',
    en: { title: 'This is done for members only', todo: 'Put your card in and try again.' },
    ja: { title: 'この操作には会員のカードが必要です', todo: 'カードを入れて、もう一度お試しください。' },
  },
  'session.ended': {
    retry: 'after-fix',
    en: { title: 'The session is over: the card left, or has to prove itself again', todo: 'Put the card in again.' },
    ja: {
      title: 'カードが抜かれたか、再確認が必要なため、セッションは終了しました',
      todo: 'もう一度カードを入れてください。',
    },
  },
  'session.elsewhere': {
    retry: 'no',
    en: {
      title: 'The session belongs to another device',
      todo: 'Put the card into this device. If nobody did so elsewhere, tell the operator.',
    },
    ja: {
      title: 'このセッションは別の機器のものです',
      todo: 'この機器にカードを入れてください。心当たりがない場合は係員に知らせてください。',
    },
  },
  'session.forged': {
    retry: 'no',
    en: {
      title: 'The proof of the session is not genuine',
      todo: 'Take the card out and put it in again. If it happens again, tell the operator.',
    },
    ja: {
      title: 'セッションの証明が正しくありません',
      todo: 'カードを抜いて入れ直してください。繰り返す場合は係員に知らせてください。',
    },
  },
  'device.not-running': {
    retry: 'after-fix',
    en: {
      title: 'The board does not run',
      todo: 'Start it (azukari-device run), or name its folder with --folder, and try again.',
    },
    ja: {
      title: '端末が動いていません',
      todo: '端末を起動するか（azukari-device run）、--folder でフォルダを指定して、もう一度お試しください。',
    },
  },
  'device.unknown': {
    retry: 'after-fix',
    en: { title: 'This device is not enrolled here', todo: 'Enrol the device with a claim from the operator.' },
    ja: { title: 'この機器は登録されていません', todo: '係員から登録コードを受け取り、機器を登録してください。' },
  },
  'device.revoked': {
    retry: 'after-fix',
    en: { title: 'This device has been shut out', todo: 'Ask the operator why; it must be enrolled again to be used.' },
    ja: { title: 'この機器は利用を停止されています', todo: '係員に確認してください。使うには再登録が必要です。' },
  },
  'birth.stale': {
    retry: 'later',
    en: {
      title: 'The device greeted with an old number',
      todo: 'Nothing to do: it greets again with a newer one. If this goes on, the device was restored from an old copy.',
    },
    ja: {
      title: '機器が古い番号で接続しました',
      todo: 'そのままお待ちください。新しい番号で接続し直します。続く場合は、機器が古い状態に戻された可能性があります。',
    },
  },
  'claim.unknown': {
    retry: 'after-fix',
    en: { title: 'This claim is not known', todo: 'Check the code, or ask the operator for a new one.' },
    ja: { title: 'この登録コードは見つかりません', todo: 'コードを確認するか、係員に新しいコードを依頼してください。' },
  },
  'claim.used': {
    retry: 'after-fix',
    en: {
      title: 'This claim has already been used',
      todo: 'Ask the operator for a new one. If nobody here used it, say so.',
    },
    ja: {
      title: 'この登録コードは使用済みです',
      todo: '係員に新しいコードを依頼してください。心当たりがない場合はその旨も伝えてください。',
    },
  },
  'claim.expired': {
    retry: 'after-fix',
    en: { title: 'This claim has expired', todo: 'Ask the operator for a new one.' },
    ja: { title: 'この登録コードは期限切れです', todo: '係員に新しいコードを依頼してください。' },
  },
  'certificate.invalid': {
    retry: 'no',
    en: {
      title: 'This certificate or request is none of ours',
      todo: 'Begin again in an empty folder with a new claim. Never replace the files of another site.',
    },
    ja: {
      title: 'この証明書（または申請）はこのサイトのものではありません',
      todo: '空のフォルダーで、新しい登録コードからやり直してください。別のサイトのファイルは置き換えないでください。',
    },
  },
  'certificate.ending': {
    retry: 'after-fix',
    en: {
      title: 'A certificate ends soon and was not renewed',
      todo: 'Start the process that it belongs to and see that it reaches the gateway; it renews by itself.',
    },
    ja: {
      title: '証明書の期限が近く、更新されていません',
      todo: 'その証明書を使うプロセスを起動し、ゲートウェイに届くことを確かめてください。更新は自動で行われます。',
    },
  },
  'claim.wrong': {
    retry: 'after-fix',
    en: {
      title: 'The code of the claim is wrong',
      todo: 'Type it again with care; after several wrong tries a new one is needed.',
    },
    ja: {
      title: '登録コードが違います',
      todo: 'よく確かめて入力し直してください。何度も間違えると新しいコードが必要になります。',
    },
  },

  // Cards and members
  'card.absent': {
    retry: 'after-fix',
    en: { title: 'There is no card', todo: 'Put the card in or hold it to the reader.' },
    ja: { title: 'カードがありません', todo: 'カードを入れるか、読み取り部にかざしてください。' },
  },
  'card.unknown': {
    retry: 'no',
    en: { title: 'This card does not belong to a member', todo: 'Use a member’s card, or ask for one to be issued.' },
    ja: { title: '会員のカードではありません', todo: '会員カードを使うか、発行を申し込んでください。' },
  },
  'card.rejected': {
    retry: 'no',
    en: {
      title: 'The card could not prove who it is',
      todo: 'Nothing was saved or shown. Try again; if it happens again, have the card checked.',
    },
    ja: {
      title: 'カードを確認できませんでした',
      todo: '保存も表示もされていません。もう一度試し、繰り返す場合はカードの点検を受けてください。',
    },
  },
  'card.wrong-pin': {
    retry: 'after-fix',
    en: { title: 'The PIN is wrong', todo: 'Enter it again with care; after several wrong tries the card is blocked.' },
    ja: {
      title: '暗証番号が違います',
      todo: 'よく確かめて入力し直してください。何度も間違えるとカードが使えなくなります。',
    },
  },
  'card.lost': {
    retry: 'after-fix',
    en: { title: 'This card was reported lost', todo: 'Whoever has found it reports it found, or takes a new card.' },
    ja: {
      title: 'このカードは紛失届が出ています',
      todo: '見つかった場合は届け出るか、新しいカードを受け取ってください。',
    },
  },
  'card.blocked': {
    retry: 'after-fix',
    en: {
      title: 'The card is blocked after too many wrong PINs',
      todo: 'Have it unblocked at the counter; your data is safe.',
    },
    ja: {
      title: '暗証番号の誤りが続いたため、カードが使えません',
      todo: '窓口で解除を受けてください。お預かりのデータは無事です。',
    },
  },
  'card.torn': {
    retry: 'after-fix',
    en: {
      title: 'The card was taken out while it was being written',
      todo: 'Put the same card in again and leave it in; the writing is finished then.',
    },
    ja: {
      title: '書き込み中にカードが抜かれました',
      todo: '同じカードをもう一度入れ、そのままお待ちください。残りを書き込みます。',
    },
  },
  'card.removed': {
    retry: 'after-fix',
    en: { title: 'The card was taken out too early', todo: 'Put the card in again and leave it in until the end.' },
    ja: { title: 'カードが途中で抜かれました', todo: 'もう一度カードを入れ、終わるまでそのままにしてください。' },
  },
  'card.two': {
    retry: 'after-fix',
    en: { title: 'There are two cards at the reader', todo: 'Leave only one card at the reader.' },
    ja: { title: 'カードが二枚あります', todo: '一枚だけにしてください。' },
  },
  'card.full': {
    retry: 'after-fix',
    en: {
      title: 'There is no room left on the card',
      todo: 'Remove old records from the card, or ask for a larger card.',
    },
    ja: { title: 'カードの空きがありません', todo: 'カード内の古い記録を消すか、容量の大きいカードをお求めください。' },
  },
  'card.unsupported': {
    retry: 'no',
    en: { title: 'This kind of card cannot be used here', todo: 'Use a card issued for this service.' },
    ja: { title: 'この種類のカードは使えません', todo: 'このサービス用のカードをお使いください。' },
  },
  'card.access-denied': {
    retry: 'after-fix',
    en: {
      title: 'The card does not permit this yet',
      todo: 'Enter the PIN. To change what is on the card, connect to the service first.',
    },
    ja: {
      title: 'この操作はまだカードに許可されていません',
      todo: '暗証番号を入力してください。カードの内容を変えるには、先にサービスへ接続してください。',
    },
  },
  'card.puk-blocked': {
    retry: 'no',
    en: { title: 'The card can no longer be unblocked', todo: 'Have it replaced at the counter; your data is safe.' },
    ja: {
      title: 'カードの解除ができなくなりました',
      todo: '窓口でカードを交換してください。お預かりのデータは無事です。',
    },
  },
  'card.swapped': {
    retry: 'after-fix',
    en: {
      title: 'This is another card than before',
      todo: 'Put the first card in again, or start anew with this one.',
    },
    ja: { title: '先ほどと違うカードです', todo: '元のカードを入れ直すか、このカードで最初からやり直してください。' },
  },
  'card.damaged': {
    retry: 'no',
    en: {
      title: 'What is on the card cannot be read',
      todo: 'Have the card replaced at the counter; your data is safe.',
    },
    ja: {
      title: 'カードの内容を読み取れません',
      todo: '窓口でカードを交換してください。お預かりのデータは無事です。',
    },
  },
  'card.failed': {
    retry: 'after-fix',
    en: { title: 'The card did not work as expected', todo: 'Take the card out and put it in again.' },
    ja: { title: 'カードが正しく動作しませんでした', todo: 'カードを抜いて、もう一度入れてください。' },
  },
  'card.unproven': {
    retry: 'after-fix',
    en: {
      title: 'What was saved waits until the card proves itself again',
      todo: 'Put the card in again, at any device: it is kept from then on.',
    },
    ja: {
      title: 'カードの再確認を待っています',
      todo: 'どの端末でもよいので、カードをもう一度入れてください。その後に保存されます。',
    },
  },
  'level.unproven': {
    retry: 'after-fix',
    en: {
      title: 'The card showed another level than the one on record when this was saved',
      todo: 'Put the card in again, at any device: it is brought up to date, and what was saved is kept.',
    },
    ja: {
      title: '保存したとき、カードの等級が登録と一致しませんでした',
      todo: 'どの端末でもよいので、カードをもう一度入れてください。カードが更新され、その後に保存されます。',
    },
  },
  'level.mismatch': {
    retry: 'after-fix',
    en: {
      title: 'The level on the card differs from the level on record',
      todo: 'Nothing was saved. Have the card brought up to date at the counter.',
    },
    ja: { title: 'カードの等級が登録と一致しません', todo: '保存されていません。窓口でカードを更新してください。' },
  },
  'member.unknown': {
    retry: 'after-fix',
    en: { title: 'This member is not known', todo: 'Check the number, or register first.' },
    ja: { title: '会員が見つかりません', todo: '番号を確認するか、先に会員登録をしてください。' },
  },
  'member.suspended': {
    retry: 'after-fix',
    en: { title: 'The membership is suspended', todo: 'Data already kept stays safe. Contact the operator to resume.' },
    ja: {
      title: '会員資格が停止されています',
      todo: 'お預かり済みのデータは無事です。再開は係員にお問い合わせください。',
    },
  },
} as const satisfies Record<string, CatalogueEntry>
