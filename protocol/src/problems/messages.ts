/** Problems of messages: encoding, signatures, envelopes, acts done once and in order; as part of the catalogue. */
import type { CatalogueEntry } from './entry.ts'

export const messageProblems = {
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
} as const satisfies Record<string, CatalogueEntry>
