/**
 * Every problem a person can meet: whether a retry helps, and what to tell them, in English and Japanese.
 * One entry per code, grouped by subject, so that it is long but merges easily; codes are never reused.
 *
 * `retry`: `later` the same request can succeed by itself; `after-fix` somebody must first do what `todo` says;
 * `no` the same request can never succeed.
 */

import { fleetProblems } from './problems/fleet.ts'
import { settlementProblems } from './problems/settlement.ts'

export type Retry = 'no' | 'later' | 'after-fix'

/** What a person is told: what is the matter, and what they can do. */
export interface ProblemText {
  readonly title: string
  readonly todo: string
}

export interface CatalogueEntry {
  readonly retry: Retry
  readonly en: ProblemText
  readonly ja: ProblemText
}

export const catalogue = {
  // Encoding (RFC 8949 and the profile of ARCHITECTURE §4)
  'cbor.malformed': {
    retry: 'no',
    en: {
      title: 'The message is not valid CBOR',
      todo: 'Update the software of the sender; if it is current, report this.',
    },
    ja: {
      title: 'メッセージがCBORとして正しくありません',
      todo: '送信側のソフトウェアを更新してください。最新の場合はご報告ください。',
    },
  },
  'cbor.too-large': {
    retry: 'no',
    en: { title: 'The message is larger than allowed', todo: 'Send less at once, or send large data as a transfer.' },
    ja: { title: 'メッセージが大きすぎます', todo: '一度に送る量を減らすか、大きなデータは転送機能で送ってください。' },
  },
  'cbor.too-deep': {
    retry: 'no',
    en: { title: 'The message is nested too deeply', todo: 'Send a message with at most 16 levels of nesting.' },
    ja: { title: 'メッセージの入れ子が深すぎます', todo: '入れ子を16段以内にして送ってください。' },
  },
  'cbor.duplicate-key': {
    retry: 'no',
    en: {
      title: 'The message holds the same key twice',
      todo: 'Update the software of the sender; if it is current, report this.',
    },
    ja: {
      title: 'メッセージに同じキーが二つあります',
      todo: '送信側のソフトウェアを更新してください。最新の場合はご報告ください。',
    },
  },
  'cbor.indefinite': {
    retry: 'no',
    en: { title: 'The message uses indefinite lengths', todo: 'Encode with definite lengths.' },
    ja: { title: 'メッセージが不定長で符号化されています', todo: '確定長で符号化して送ってください。' },
  },
  'cbor.forbidden-tag': {
    retry: 'no',
    en: {
      title: 'The message uses a CBOR tag that is not allowed here',
      todo: 'Send plain values; only COSE and CWT tags are accepted.',
    },
    ja: {
      title: '許可されていないCBORタグが使われています',
      todo: 'タグのない値で送ってください。使えるのはCOSEとCWTのタグだけです。',
    },
  },
  'cbor.bad-utf8': {
    retry: 'no',
    en: { title: 'A text in the message is not valid UTF-8', todo: 'Encode text as UTF-8.' },
    ja: { title: 'メッセージ内の文字列が正しいUTF-8ではありません', todo: '文字列はUTF-8で送ってください。' },
  },
  'cbor.trailing': {
    retry: 'no',
    en: { title: 'There are bytes after the end of the message', todo: 'Send one message per packet.' },
    ja: {
      title: 'メッセージの後に余分なデータがあります',
      todo: '一つのパケットには一つのメッセージだけを入れてください。',
    },
  },

  // Signatures, encryption and tokens (RFC 9052, RFC 8392)
  'cose.malformed': {
    retry: 'no',
    en: {
      title: 'The signed or encrypted message has a wrong structure',
      todo: 'Update the software of the sender; if it is current, report this.',
    },
    ja: {
      title: '署名または暗号化されたメッセージの構造が正しくありません',
      todo: '送信側のソフトウェアを更新してください。最新の場合はご報告ください。',
    },
  },
  'cose.bad-signature': {
    retry: 'no',
    en: {
      title: 'The signature does not match',
      todo: 'Do not trust this message. Try once more; if it happens again, tell the operator.',
    },
    ja: {
      title: '署名が一致しません',
      todo: 'このメッセージは信用できません。もう一度試し、繰り返す場合は係員に知らせてください。',
    },
  },
  'cose.unknown-key': {
    retry: 'after-fix',
    en: {
      title: 'The key that made this message is not known here',
      todo: 'Enrol the sender again, or check that it speaks to the right site.',
    },
    ja: {
      title: 'このメッセージの鍵が登録されていません',
      todo: '送信元を登録し直すか、接続先が正しいか確認してください。',
    },
  },
  'cose.wrong-algorithm': {
    retry: 'no',
    en: {
      title: 'The message uses an algorithm that is not accepted',
      todo: 'Update the software of the sender so that it uses the accepted algorithms.',
    },
    ja: {
      title: '受け付けていない暗号方式が使われています',
      todo: '送信側のソフトウェアを更新し、許可された方式を使ってください。',
    },
  },
  'cose.decrypt-failed': {
    retry: 'no',
    en: {
      title: 'The message cannot be decrypted',
      todo: 'It was damaged or is meant for another recipient. Ask for it again.',
    },
    ja: { title: 'メッセージを復号できません', todo: '壊れているか、宛先が違います。もう一度送ってもらってください。' },
  },
  'cose.expired': {
    retry: 'after-fix',
    en: {
      title: 'The token is not valid at this time',
      todo: 'Check the clock of the device, then obtain a new token.',
    },
    ja: { title: 'トークンの有効期間外です', todo: '機器の時計を確認し、新しいトークンを取得してください。' },
  },
  'cose.wrong-audience': {
    retry: 'no',
    en: { title: 'The token is meant for somebody else', todo: 'Use the token only with the service that it names.' },
    ja: { title: 'このトークンは別の相手に宛てたものです', todo: 'トークンに書かれたサービスでのみ使ってください。' },
  },
  'cose.wrong-contract': {
    retry: 'no',
    en: {
      title: 'The signed message was made for another purpose',
      todo: 'Sign a message of the kind that is asked for.',
    },
    ja: { title: 'この署名は別の用途のために作られたものです', todo: '求められた種類のメッセージに署名してください。' },
  },

  // Messages
  'message.invalid': {
    retry: 'no',
    en: {
      title: 'The message does not have the expected content',
      todo: 'Check the values; the detail names the place.',
    },
    ja: { title: 'メッセージの内容が正しくありません', todo: '値を確認してください。場所は詳細に示されています。' },
  },
  'message.unknown-contract': {
    retry: 'after-fix',
    en: {
      title: 'This kind of message is not known here',
      todo: 'Update the older side; its release is too far behind.',
    },
    ja: { title: 'この種類のメッセージには対応していません', todo: '古い方のソフトウェアを更新してください。' },
  },
  'message.expired': {
    retry: 'after-fix',
    en: { title: 'The message arrived too late', todo: 'Check the clock of the device and ask again.' },
    ja: { title: 'メッセージの期限が過ぎています', todo: '機器の時計を確認し、もう一度お試しください。' },
  },
  'message.unauthorised': {
    retry: 'no',
    en: { title: 'The sender may not do this', todo: 'Use an account or device that has the right to do it.' },
    ja: { title: 'この操作を行う権限がありません', todo: '権限のあるアカウントまたは機器で行ってください。' },
  },
  'message.too-large': {
    retry: 'no',
    en: { title: 'The message is larger than allowed', todo: 'Send less at once, or send large data as a transfer.' },
    ja: { title: 'メッセージが大きすぎます', todo: '一度に送る量を減らすか、大きなデータは転送機能で送ってください。' },
  },

  // Acts: done once, in order
  'act.gap': {
    retry: 'later',
    en: {
      title: 'An earlier act has not arrived yet',
      todo: 'Nothing to do: the missing ones are sent again by themselves.',
    },
    ja: { title: '前の操作がまだ届いていません', todo: 'そのままお待ちください。不足分は自動で送り直されます。' },
  },
  'act.conflict': {
    retry: 'no',
    en: {
      title: 'A different act was already done under this number',
      todo: 'Nothing was changed. Tell the operator: the device may have been restored from an old copy.',
    },
    ja: {
      title: '同じ番号で別の操作がすでに行われています',
      todo: '変更は行われていません。機器が古い状態に戻された可能性があるため、係員に知らせてください。',
    },
  },
  'act.replayed': {
    retry: 'no',
    en: { title: 'This was already done', todo: 'Nothing to do: it counts once only.' },
    ja: { title: 'この操作はすでに完了しています', todo: '何もする必要はありません。二重には行われません。' },
  },

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

  // Devices: printing, taking pictures, removable memory, reading cards
  'object.not-printable': {
    retry: 'no',
    en: { title: 'This cannot be printed', todo: 'Choose a picture or a document. The data itself is unharmed.' },
    ja: { title: 'このデータは印刷できません', todo: '写真か文書を選んでください。データ自体に問題はありません。' },
  },
  'photo.corrupt': {
    retry: 'no',
    en: {
      title: 'The picture is damaged and cannot be printed',
      todo: 'It is kept byte for byte as it is. Choose another, or save a good copy.',
    },
    ja: {
      title: '写真のデータが壊れており、印刷できません',
      todo: 'データはそのままの形でお預かりします。別の写真を選ぶか、正常な写しを保存してください。',
    },
  },
  'photo.too-large': {
    retry: 'no',
    en: {
      title: 'The picture is too large for this device',
      todo: 'Print it on a larger device. It is kept as it is.',
    },
    ja: {
      title: '写真が大きすぎてこの機器では扱えません',
      todo: '別の機器で印刷してください。データはそのままお預かりします。',
    },
  },
  'printer.out-of-paper': {
    retry: 'after-fix',
    en: { title: 'The printer has run out of paper', todo: 'Refill the paper, then print again.' },
    ja: { title: 'プリンタの用紙がありません', todo: '用紙を補充してから、もう一度印刷してください。' },
  },
  'printer.jam': {
    retry: 'after-fix',
    en: {
      title: 'Paper is stuck in the printer',
      todo: 'Open the printer and take the paper out, then print again.',
    },
    ja: {
      title: 'プリンタに紙が詰まっています',
      todo: 'カバーを開けて用紙を取り除いてから、もう一度印刷してください。',
    },
  },
  'printer.offline': {
    retry: 'after-fix',
    en: { title: 'The printer does not answer', todo: 'Check that it is switched on and connected.' },
    ja: { title: 'プリンタが応答しません', todo: '電源と接続を確認してください。' },
  },
  'printer.unsupported': {
    retry: 'no',
    en: {
      title: 'The printer cannot print in this form',
      todo: 'Choose another paper size or format, or another printer.',
    },
    ja: {
      title: 'この形式はプリンタが対応していません',
      todo: '用紙サイズや形式を変えるか、別のプリンタをお使いください。',
    },
  },
  'camera.failed': {
    retry: 'after-fix',
    en: {
      title: 'The camera could not take the picture',
      todo: 'Try again; if it happens again, switch the camera off and on.',
    },
    ja: {
      title: '撮影できませんでした',
      todo: 'もう一度お試しください。繰り返す場合はカメラの電源を入れ直してください。',
    },
  },
  'camera.offline': {
    retry: 'after-fix',
    en: { title: 'The camera does not answer', todo: 'Check that it is switched on and connected.' },
    ja: { title: 'カメラが応答しません', todo: '電源と接続を確認してください。' },
  },
  'memory.absent': {
    retry: 'after-fix',
    en: { title: 'There is no memory card or stick', todo: 'Put one in.' },
    ja: { title: 'メモリが入っていません', todo: 'メモリカードまたはUSBメモリを入れてください。' },
  },
  'memory.full': {
    retry: 'after-fix',
    en: { title: 'The memory card or stick is full', todo: 'Delete something from it, or put another in.' },
    ja: { title: 'メモリの空きがありません', todo: '不要なものを消すか、別のメモリを入れてください。' },
  },
  'memory.read-only': {
    retry: 'after-fix',
    en: { title: 'The memory card or stick is write-protected', todo: 'Release its switch, or put another in.' },
    ja: {
      title: 'メモリが書き込み禁止になっています',
      todo: '書き込み禁止スイッチを解除するか、別のメモリを入れてください。',
    },
  },
  'memory.unreadable': {
    retry: 'after-fix',
    en: {
      title: 'The memory card or stick cannot be read',
      todo: 'Put in another, formatted as FAT32, exFAT or ext4; nothing was changed on this one.',
    },
    ja: {
      title: 'メモリを読み取れません',
      todo: 'FAT32、exFATまたはext4で初期化された別のメモリを入れてください。このメモリの内容は変更していません。',
    },
  },
  'reader.failed': {
    retry: 'after-fix',
    en: {
      title: 'The card reader does not work',
      todo: 'Put the card in again; if it happens again, unplug the reader and plug it in.',
    },
    ja: {
      title: 'カードリーダーが動作していません',
      todo: 'カードを入れ直してください。繰り返す場合はリーダーを抜き差ししてください。',
    },
  },
  'reader.absent': {
    retry: 'after-fix',
    en: { title: 'The card reader is unplugged', todo: 'Plug it in again; it then goes on by itself.' },
    ja: { title: 'カードリーダーが外れています', todo: 'つなぎ直してください。自動的に再開します。' },
  },
  'panel.absent': {
    retry: 'after-fix',
    en: { title: 'The buttons and lamps are unplugged', todo: 'Plug the panel in again; it then goes on by itself.' },
    ja: { title: '操作パネルが外れています', todo: 'パネルをつなぎ直してください。自動的に再開します。' },
  },
  'display.absent': {
    retry: 'after-fix',
    en: { title: 'The display does not answer', todo: 'Switch it on, or start its browser again.' },
    ja: { title: '画面が応答しません', todo: '電源を入れるか、ブラウザを起動し直してください。' },
  },
  'input.absent': {
    retry: 'after-fix',
    en: { title: 'The scanner or other source does not answer', todo: 'Check that it is connected and switched on.' },
    ja: { title: 'スキャナーなどの入力機器が応答しません', todo: '接続と電源を確認してください。' },
  },

  'part.absent': {
    retry: 'after-fix',
    en: { title: 'A part of the device does not answer', todo: 'Check that it is connected and switched on.' },
    ja: { title: '機器の一部が応答しません', todo: '接続と電源を確認してください。' },
  },
  'part.busy': {
    retry: 'later',
    en: { title: 'The device is busy with something else', todo: 'Wait until it has finished.' },
    ja: { title: '機器は別の作業中です', todo: '終わるまでお待ちください。' },
  },
  'part.failed': {
    retry: 'after-fix',
    en: { title: 'A part of the device does not work', todo: 'Switch the device off and on; then tell the operator.' },
    ja: { title: '機器の一部が動作していません', todo: '電源を入れ直し、直らない場合は係員に知らせてください。' },
  },
  'part.unsupported': {
    retry: 'no',
    en: { title: 'This device cannot do that', todo: 'Use a device that has the part for it.' },
    ja: { title: 'この機器ではできません', todo: '必要な部品を備えた機器をお使いください。' },
  },
  'part.timeout': {
    retry: 'later',
    en: { title: 'A part of the device took too long', todo: 'Try again; then check the part.' },
    ja: { title: '機器の一部から時間内に応答がありませんでした', todo: 'もう一度試し、続く場合は点検してください。' },
  },
  'panel.cancelled': {
    retry: 'after-fix',
    en: { title: 'You cancelled', todo: 'Start again when you like; nothing was changed.' },
    ja: { title: '操作を取りやめました', todo: '必要なときにもう一度始めてください。変更は行われていません。' },
  },

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

  // Hazards
  'feed.unreachable': {
    retry: 'later',
    en: {
      title: 'A hazard feed could not be fetched',
      todo: 'It is tried again by itself, and what was known keeps counting; if it stays so, check its address and the network.',
    },
    ja: {
      title: '災害情報を取得できませんでした',
      todo: '自動で再試行し、それまでの情報は有効のままです。続く場合は配信元のアドレスとネットワークを確認してください。',
    },
  },
  'feed.malformed': {
    retry: 'later',
    en: {
      title: 'A hazard feed cannot be read',
      todo: 'What was known keeps counting; check that address and format in hazards.json are right.',
    },
    ja: {
      title: '災害情報を読み取れません',
      todo: 'それまでの情報は有効のままです。hazards.jsonのアドレスと形式を確認してください。',
    },
  },
  'feed.hostile': {
    retry: 'after-fix',
    en: {
      title: 'A hazard feed sends what no honest source sends',
      todo: 'It was not used. Check who answers at its address before you trust it again.',
    },
    ja: {
      title: '災害情報に不正な内容が含まれています',
      todo: 'この情報は使われていません。配信元が本物か確認してください。',
    },
  },
  'feed.too-large': {
    retry: 'after-fix',
    en: { title: 'A hazard feed is larger than allowed', todo: 'Choose a smaller feed of the same source.' },
    ja: { title: '災害情報が大きすぎます', todo: '同じ配信元の、より小さな情報を選んでください。' },
  },
  'feed.stale': {
    retry: 'later',
    en: {
      title: 'A hazard feed has not been heard of for too long',
      todo: 'What was known is held for a while; check its address and the network.',
    },
    ja: {
      title: '災害情報が長い間更新されていません',
      todo: 'それまでの情報はしばらく保たれます。配信元のアドレスとネットワークを確認してください。',
    },
  },
  'hazard.invalid': {
    retry: 'no',
    en: {
      title: 'A hazard report contradicts itself or is impossible',
      todo: 'This report was not used, the others of its feed were; tell the source if it happens again.',
    },
    ja: {
      title: '災害情報の一部に矛盾や誤りがあります',
      todo: 'この情報だけ使わず、ほかは使っています。繰り返す場合は配信元に知らせてください。',
    },
  },
  'hazard.everywhere': {
    retry: 'after-fix',
    en: {
      title: 'A hazard feed endangers almost every data server at once',
      todo: 'Check whether it is right. Nothing moves to a worse place, and nothing is kept in fewer than two.',
    },
    ja: {
      title: 'ほぼすべての保管先が危険とする災害情報があります',
      todo: '正しいか確認してください。より危険な場所へは移さず、必ず二か所以上に保ちます。',
    },
  },

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
  ...settlementProblems,
  internal: {
    retry: 'later',
    en: {
      title: 'Something went wrong inside the system',
      todo: 'Try again; if it happens again, report it with the time.',
    },
    ja: { title: 'システム内部で問題が起きました', todo: 'もう一度試し、繰り返す場合は時刻を添えてご報告ください。' },
  },
} as const satisfies Record<string, CatalogueEntry>
