/** Problems of settlement (P1–P10, S13), as part of the catalogue. */
import type { CatalogueEntry } from './entry.ts'

export const settlementProblems = {
  'mail.none': {
    retry: 'no',
    en: { title: 'This site sends no letters by mail', todo: 'News is at any terminal. Ask whoever runs the site.' },
    ja: {
      title: 'このサイトではメールをお送りしていません',
      todo: 'お知らせは端末でご覧いただけます。運営者にお問い合わせください。',
    },
  },
  // Registers and enrolment (P1, P3, P4)
  'register.unknown-number': {
    retry: 'no',
    en: { title: 'There is no member with this number', todo: 'Check the number on the letter.' },
    ja: { title: 'この会員番号は登録されていません', todo: '郵送された番号を確認してください。' },
  },
  'register.number-used': {
    retry: 'no',
    en: {
      title: 'This number has been registered before',
      todo: 'If it was not you, tell the settlement centre at once.',
    },
    ja: { title: 'この番号は既に登録されています', todo: '心当たりがない場合は、すぐに決済センタへ連絡してください。' },
  },
  'register.number-expired': {
    retry: 'after-fix',
    en: { title: 'The number was not used in time', todo: 'Apply again; a new number comes by letter.' },
    ja: { title: '番号の有効期限が過ぎています', todo: 'もう一度お申し込みください。新しい番号を郵送します。' },
  },
  'register.key-known': {
    retry: 'no',
    en: { title: 'This key belongs to a registration already', todo: 'Make a new key.' },
    ja: { title: 'この鍵は既に登録されています', todo: '新しい鍵を作ってください。' },
  },
  'register.key-revoked': {
    retry: 'no',
    en: { title: 'This key has been revoked', todo: 'Register again with a new key.' },
    ja: { title: 'この鍵は失効しています', todo: '新しい鍵で再登録してください。' },
  },
  'register.not-shop': {
    retry: 'no',
    en: { title: 'Only shop members can do this', todo: 'Enrol as a shop member.' },
    ja: { title: '加盟店会員だけができる操作です', todo: '加盟店会員としてお申し込みください。' },
  },
  'register.not-own': {
    retry: 'no',
    en: { title: 'This belongs to another member', todo: 'Check the number.' },
    ja: { title: 'これは他の会員のものです', todo: '番号を確認してください。' },
  },
  'register.terms': {
    retry: 'after-fix',
    en: {
      title: 'The terms of this application are not the current ones',
      todo: 'Read the current terms and apply again.',
    },
    ja: { title: '申込みの規約が最新ではありません', todo: '最新の規約を読み、もう一度お申し込みください。' },
  },
  // The application form (P1)
  'apply.name': {
    retry: 'after-fix',
    en: { title: 'The name is missing or too long', todo: 'Write your name in at most 100 characters.' },
    ja: { title: '氏名がないか、長すぎます', todo: '氏名を100文字以内でご記入ください。' },
  },
  'apply.kana': {
    retry: 'after-fix',
    en: {
      title: 'The reading of the name is not in kana',
      todo: 'Write the reading in hiragana or katakana, at most 100 characters.',
    },
    ja: { title: 'フリガナが正しくありません', todo: 'ひらがなまたはカタカナで100文字以内でご記入ください。' },
  },
  'apply.postcode': {
    retry: 'after-fix',
    en: { title: 'The postcode is not one', todo: 'Write seven digits, such as 100-0001.' },
    ja: { title: '郵便番号が正しくありません', todo: '100-0001のように7桁の数字でご記入ください。' },
  },
  'apply.address': {
    retry: 'after-fix',
    en: {
      title: 'The address is missing or too long',
      todo: 'Write the address in at most 200 characters; the letter goes there.',
    },
    ja: {
      title: '住所がないか、長すぎます',
      todo: '住所を200文字以内でご記入ください。書類をお送りする宛先になります。',
    },
  },
  'apply.email': {
    retry: 'after-fix',
    en: { title: 'The mail address is not one', todo: 'Correct it, or leave it empty.' },
    ja: { title: 'メールアドレスが正しくありません', todo: '訂正するか、空欄にしてください。' },
  },
  'apply.account': {
    retry: 'after-fix',
    en: {
      title: 'The bank account is not complete',
      todo: 'Give bank (4 digits), branch (3), number (7) and the holder in kana, or leave all of them empty. Shops need an account.',
    },
    ja: {
      title: '口座の記入が正しくありません',
      todo: '銀行番号4桁、支店番号3桁、口座番号7桁、名義（カナ）をすべてご記入いただくか、すべて空欄にしてください。店舗会員には口座が必要です。',
    },
  },
  'apply.invoice-number': {
    retry: 'after-fix',
    en: { title: 'The invoice registration number is not one', todo: 'Write T and 13 digits, or leave it empty.' },
    ja: {
      title: '適格請求書発行事業者の登録番号が正しくありません',
      todo: 'Tと13桁の数字でご記入いただくか、空欄にしてください。',
    },
  },
  'apply.agree': {
    retry: 'after-fix',
    en: { title: 'The terms are not agreed to', todo: 'Read the terms and tick the box if you agree.' },
    ja: { title: '規約への同意がありません', todo: '規約をお読みになり、同意される場合はチェックを入れてください。' },
  },
  'apply.form-expired': {
    retry: 'after-fix',
    en: {
      title: 'This form is not valid any more',
      todo: 'Open the form again from this page, with cookies allowed, and send it once more.',
    },
    ja: {
      title: 'このフォームは無効になりました',
      todo: 'このページからフォームを開き直し（クッキーを許可してください）、もう一度お送りください。',
    },
  },
  'apply.too-many': {
    retry: 'later',
    en: { title: 'Too many applications at this time', todo: 'Try again later, or apply at a terminal.' },
    ja: {
      title: 'ただいま申込みが混み合っています',
      todo: 'しばらくしてからもう一度お試しいただくか、端末からお申し込みください。',
    },
  },
  // Stored value (P5)
  'topup.unknown': {
    retry: 'no',
    en: { title: 'There is no such request for value', todo: 'Check the number.' },
    ja: { title: '該当する入金申込みがありません', todo: '番号を確認してください。' },
  },
  'topup.state': {
    retry: 'no',
    en: { title: 'The request is at another stage', todo: 'Look at its state, and begin a new one if needed.' },
    ja: { title: 'この入金申込みはその段階にありません', todo: '状態を確認し、必要なら新しく申し込んでください。' },
  },
  'topup.declined': {
    retry: 'after-fix',
    en: { title: 'The card company declined', todo: 'Use another card or another way, or ask the card company.' },
    ja: {
      title: 'カード会社が承認しませんでした',
      todo: '別のカードか別の方法を使うか、カード会社にお問い合わせください。',
    },
  },
  'topup.unanswered': {
    retry: 'later',
    en: { title: 'The card company has not answered', todo: 'Nothing was taken; it is tried again by itself.' },
    ja: { title: 'カード会社から応答がありません', todo: '引落しは行われていません。自動でもう一度試します。' },
  },
  'topup.same-clerk': {
    retry: 'after-fix',
    en: { title: 'The second count must be another clerk’s', todo: 'Let a colleague count the money.' },
    ja: { title: '二人目の確認は別の担当者が必要です', todo: '別の担当者が現金を数えてください。' },
  },
  'topup.counts-differ': {
    retry: 'after-fix',
    en: { title: 'The two counts differ', todo: 'Both clerks count again.' },
    ja: { title: '二人の数えた金額が一致しません', todo: '二人でもう一度数えてください。' },
  },
  // Purchase and payout (P6, P7)
  'pay.item-unknown': {
    retry: 'no',
    en: { title: 'The shop does not offer this', todo: 'Look at the shop’s current offer.' },
    ja: { title: 'この商品は取り扱いがありません', todo: '店の現在の商品一覧を確認してください。' },
  },
  'pay.own-shop': {
    retry: 'no',
    en: { title: 'A shop cannot buy from itself', todo: 'Order as another member.' },
    ja: { title: '自分の店では購入できません', todo: '別の会員として注文してください。' },
  },
  'pay.order-unknown': {
    retry: 'no',
    en: { title: 'There is no such order', todo: 'Check the transaction number.' },
    ja: { title: '該当する注文がありません', todo: '取引番号を確認してください。' },
  },
  'pay.order-state': {
    retry: 'no',
    en: { title: 'The order is at another stage', todo: 'Look at the state of the order.' },
    ja: { title: '注文はその段階にありません', todo: '注文の状態を確認してください。' },
  },
  'pay.order-expired': {
    retry: 'no',
    en: { title: 'The order was not paid in time', todo: 'Order again.' },
    ja: { title: '注文の支払期限が過ぎています', todo: 'もう一度注文してください。' },
  },
  'pay.amount-differs': {
    retry: 'no',
    en: { title: 'The amount is not that of the order', todo: 'Look at the order again before paying.' },
    ja: { title: '支払額が注文の金額と異なります', todo: '注文の内容を確認してから支払ってください。' },
  },
  'pay.clock': {
    retry: 'after-fix',
    en: { title: 'The time of the instruction cannot be right', todo: 'Set the clock of the device and pay again.' },
    ja: { title: '支払指図の時刻が正しくありません', todo: '端末の時計を合わせて、もう一度支払ってください。' },
  },
  'pay.refund-too-much': {
    retry: 'no',
    en: { title: 'More cannot be given back than was paid', todo: 'Choose a smaller amount.' },
    ja: { title: '返金額が支払額を超えています', todo: '小さい金額を指定してください。' },
  },
  'pay.late': {
    retry: 'no',
    en: { title: 'The time for this has passed', todo: 'Ask the settlement centre.' },
    ja: { title: '受付期限を過ぎています', todo: '決済センタにお問い合わせください。' },
  },
  'pay.disputed': {
    retry: 'after-fix',
    en: { title: 'The purchase is disputed', todo: 'Wait for the decision of the settlement centre.' },
    ja: { title: 'この取引は異議申立て中です', todo: '決済センタの判断をお待ちください。' },
  },
  // Bank files (P5, P7, S13)
  'bank.malformed': {
    retry: 'after-fix',
    en: {
      title: 'The bank’s file has an error',
      todo: 'Fetch the file again; if it is the same, send it to the bank with the place named in the detail.',
    },
    ja: {
      title: '銀行ファイルに誤りがあります',
      todo: 'もう一度取得し、同じ場合は詳細の箇所を添えて銀行に連絡してください。',
    },
  },
  'bank.totals': {
    retry: 'after-fix',
    en: {
      title: 'The totals of the bank’s file do not agree',
      todo: 'Fetch the file again; nothing of it was booked.',
    },
    ja: { title: '銀行ファイルの合計が一致しません', todo: 'もう一度取得してください。何も記帳されていません。' },
  },
  'bank.known': {
    retry: 'no',
    en: { title: 'This file was taken in before', todo: 'Nothing needs to be done.' },
    ja: { title: 'このファイルは取込み済みです', todo: '対応は不要です。' },
  },
  'bank.line-known': {
    retry: 'no',
    en: { title: 'This line was booked before', todo: 'Nothing needs to be done; look at the earlier booking.' },
    ja: { title: 'この明細は記帳済みです', todo: '対応は不要です。以前の記帳を確認してください。' },
  },
  'register.no-account': {
    retry: 'after-fix',
    en: {
      title: 'The member has named no bank account',
      todo: 'Ask the member for one; it is registered at a terminal.',
    },
    ja: { title: '会員の銀行口座が登録されていません', todo: '会員に確認し、端末で登録してもらってください。' },
  },
  'bank.line-out': {
    retry: 'no',
    en: { title: 'The money of this line went out', todo: 'Only money that came in can be somebody’s value.' },
    ja: { title: 'この明細は出金です', todo: '入金の明細だけを割り当てることができます。' },
  },
  'bank.not-bookable': {
    retry: 'no',
    en: { title: 'What was set aside cannot be booked', todo: 'Drop it when it is not ours; else ask the bank.' },
    ja: {
      title: '保留された項目は記帳できません',
      todo: '当方のものでなければ破棄し、それ以外は銀行に確認してください。',
    },
  },
  'bank.text': {
    retry: 'after-fix',
    en: {
      title: 'The text cannot be written in the bank’s character set',
      todo: 'Use half-width kana, capital letters and digits.',
    },
    ja: { title: '銀行の文字で表せない文字があります', todo: '半角カナ、英大文字、数字で入力してください。' },
  },
  // Billing (S13)
  'bank.released': {
    retry: 'no',
    en: {
      title: 'This file was given out before',
      todo: 'Ask the bank; when it has not come, give it out again: the gate lets it through once.',
    },
    ja: {
      title: 'このファイルは既に払い出されています',
      todo: '銀行に確認し、届いていなければ再度払い出してください。二重には通りません。',
    },
  },
  'bank.file-known': {
    retry: 'no',
    en: { title: 'This file has gone to the bank', todo: 'Nothing more needs to be done.' },
    ja: { title: 'このファイルは銀行へ送付済みです', todo: '追加の操作は不要です。' },
  },
  'bank.note-differs': {
    retry: 'no',
    en: { title: 'The note is of another file', todo: 'Give the file out again at the settlement centre.' },
    ja: { title: '払出票が別のファイルのものです', todo: '決済センタでもう一度払い出してください。' },
  },
  'bill.unknown': {
    retry: 'no',
    en: { title: 'There is no such statement', todo: 'Check the number.' },
    ja: { title: '該当する明細書がありません', todo: '番号を確認してください。' },
  },
  'bill.late': {
    retry: 'no',
    en: { title: 'The deadline for objections has passed', todo: 'Ask the settlement centre.' },
    ja: { title: '異議申立ての期限が過ぎています', todo: '決済センタにお問い合わせください。' },
  },
  'bill.state': {
    retry: 'no',
    en: { title: 'The statement is at another stage', todo: 'Look at its state.' },
    ja: { title: '明細書はその段階にありません', todo: '状態を確認してください。' },
  },
  'bill.objected': {
    retry: 'after-fix',
    en: { title: 'An objection is open', todo: 'It must be decided before anything is collected.' },
    ja: { title: '異議申立てが審査中です', todo: '請求の前に判断が必要です。' },
  },
  'bill.handed-over': {
    retry: 'no',
    en: {
      title: 'The claim has been handed to the bank or the card company',
      todo: 'Ask the settlement centre; an amount that proves wrong is paid back.',
    },
    ja: {
      title: '銀行またはカード会社へ既に請求済みです',
      todo: '決済センタにお問い合わせください。誤りがあれば返金します。',
    },
  },
  'bill.way': {
    retry: 'after-fix',
    en: {
      title: 'Statements cannot be paid this way',
      todo: 'Name a bank account or a credit card, or choose another way.',
    },
    ja: { title: 'この方法ではお支払いいただけません', todo: '口座かカードを登録するか、別の方法を選んでください。' },
  },
  // Vault (P2, P10)
  'vault.wrong': {
    retry: 'after-fix',
    en: {
      title: 'The password or the card is not the right one',
      todo: 'Try again; after several failures the vault waits.',
    },
    ja: {
      title: 'パスワードまたはカードが正しくありません',
      todo: 'もう一度入力してください。失敗が続くと、しばらく使えなくなります。',
    },
  },
  'vault.locked': {
    retry: 'later',
    en: { title: 'Too many wrong passwords', todo: 'Wait for the time shown, then try again.' },
    ja: {
      title: 'パスワードの誤りが続いたためロックされています',
      todo: '表示された時間が過ぎてから、もう一度お試しください。',
    },
  },
  'vault.damaged': {
    retry: 'after-fix',
    en: { title: 'The vault’s file is damaged', todo: 'Restore it from the paper copy.' },
    ja: { title: '金庫ファイルが壊れています', todo: '紙の控えから復元してください。' },
  },
  'vault.absent': {
    retry: 'after-fix',
    en: { title: 'There is no vault on this terminal', todo: 'Make one, or restore it from the paper copy.' },
    ja: { title: 'この端末に金庫がありません', todo: '新しく作るか、紙の控えから復元してください。' },
  },
  'vault.weak': {
    retry: 'after-fix',
    en: {
      title: 'The password is too easy to guess, or both are the same',
      todo: 'Choose passwords of at least eight characters that differ.',
    },
    ja: {
      title: 'パスワードが推測されやすいか、二つが同じです',
      todo: '8文字以上の、互いに異なるパスワードを選んでください。',
    },
  },
  'vault.entropy': {
    retry: 'after-fix',
    en: { title: 'There is not enough chance in what was given', todo: 'Move the mouse or type more, at random.' },
    ja: { title: '乱数の材料が足りません', todo: 'マウスやキーをもっと不規則に動かしてください。' },
  },
  'vault.paper': {
    retry: 'after-fix',
    en: { title: 'The paper copy was mistyped', todo: 'Check the line named in the detail.' },
    ja: { title: '紙の控えの入力に誤りがあります', todo: '詳細に示された行を確認してください。' },
  },
  'vault.passwords': {
    retry: 'after-fix',
    en: { title: 'This needs both passwords', todo: 'Enter password B too.' },
    ja: { title: 'この操作には二つのパスワードが必要です', todo: 'パスワードBも入力してください。' },
  },
  // Settlement centre (P9)
  'centre.not-leader': {
    retry: 'later',
    en: {
      title: 'This centre does not lead at the moment',
      todo: 'The other centre answers; the request is sent there by itself.',
    },
    ja: { title: 'このセンタは現在主系ではありません', todo: 'もう一方のセンタが応答します。自動で送り直します。' },
  },
  'centre.old-epoch': {
    retry: 'no',
    en: { title: 'This comes from a centre that no longer leads', todo: 'Stop that centre and look at its log.' },
    ja: { title: '主系でなくなったセンタからの要求です', todo: 'そのセンタを止め、記録を確認してください。' },
  },
  'centre.behind': {
    retry: 'later',
    en: { title: 'This centre has not everything yet', todo: 'Wait until it has caught up.' },
    ja: { title: 'このセンタの内容はまだ追い付いていません', todo: '追い付くまでお待ちください。' },
  },
  'centre.chain': {
    retry: 'later',
    en: {
      title: 'The two centres’ records differ',
      todo: 'The backup gets a whole copy by itself; look at its log when it happens again.',
    },
    ja: {
      title: '二つのセンタの記録が一致しません',
      todo: '予備センタへ全体の写しを自動で送ります。繰り返す場合は記録を確認してください。',
    },
  },
  'centre.unconfirmed': {
    retry: 'later',
    en: {
      title: 'The backup centre has not confirmed this yet',
      todo: 'Repeat it later; it is done only once.',
    },
    ja: { title: '予備センタでの記録がまだ確認できません', todo: '後でもう一度行ってください。二重には行われません。' },
  },
  'centre.second-person': {
    retry: 'after-fix',
    en: { title: 'This needs a second person', todo: 'Let a colleague confirm it.' },
    ja: { title: 'この操作には別の担当者の確認が必要です', todo: '別の担当者が確認してください。' },
  },
} as const satisfies Record<string, CatalogueEntry>
