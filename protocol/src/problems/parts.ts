/** Problems of a board's parts (S17): printers, cameras, memory, card readers and what else there is; as part of the catalogue. */
import type { CatalogueEntry } from './entry.ts'

export const partProblems = {
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
  'place.not-removable': {
    retry: 'no',
    en: {
      title: 'The place where it was made cannot be taken out of this file',
      todo: 'It was not kept. Save it as JPEG, PNG, MP4, PDF or plain text, or allow places at a terminal, under “My consent”.',
    },
    ja: {
      title: 'このファイルから撮影場所を取り除けません',
      todo: 'お預かりしていません。JPEG・PNG・MP4・PDF・テキストで保存し直すか、端末の「同意の設定」で撮影場所の利用に同意してください。',
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

  'driver.missing': {
    retry: 'after-fix',
    en: {
      title: 'The board’s file names a driver that is not there',
      todo: 'See its name in the board’s file. A package is installed in the folder of that file: npm install NAME.',
    },
    ja: {
      title: 'ボードのファイルにあるドライバーが見つかりません',
      todo: 'ファイルのドライバー名を確認してください。パッケージはそのファイルのフォルダーで npm install します。',
    },
  },
  'driver.needs': {
    retry: 'after-fix',
    en: { title: 'A driver lacks what it needs', todo: 'Install what is named here, then start again.' },
    ja: {
      title: 'ドライバーに必要なものがありません',
      todo: '表示されているものをインストールして、起動し直してください。',
    },
  },
  'driver.invalid': {
    retry: 'after-fix',
    en: {
      title: 'What the board’s file names is no driver for this part',
      todo: 'Name another driver, or see docs/drivers.md for what a driver’s module exports.',
    },
    ja: {
      title: '指定されたものはこの部品のドライバーではありません',
      todo: '別のドライバーを指定するか、ドライバーの文書（docs/drivers.md）を確認してください。',
    },
  },
  'driver.failed': {
    retry: 'after-fix',
    en: {
      title: 'A driver failed before its part could be used',
      todo: 'Take the part out of the board’s file to go on without it, and tell the driver’s author what is shown here.',
    },
    ja: {
      title: 'ドライバーが起動時に失敗しました',
      todo: 'その部品をファイルから外すと続行できます。表示された内容をドライバーの作者に伝えてください。',
    },
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
  'panel.unanswered': {
    retry: 'after-fix',
    en: { title: 'Nobody answered', todo: 'Start again when you like; nothing was changed.' },
    ja: { title: '入力がありませんでした', todo: '必要なときにもう一度始めてください。変更は行われていません。' },
  },
  'panel.pin-differs': {
    retry: 'after-fix',
    en: { title: 'The two new PINs are not the same', todo: 'Begin again; your PIN is as it was.' },
    ja: {
      title: '二つの新しい暗証番号が一致しません',
      todo: '最初からやり直してください。暗証番号は変わっていません。',
    },
  },
  'panel.no-pin-entry': {
    retry: 'no',
    en: {
      title: 'No PIN can be entered at this device, so nothing can be kept or printed',
      todo: 'Give its board a keypad, buttons with a display, or the page (a display with the driver kiosk).',
    },
    ja: {
      title: 'この機器では暗証番号を入力できないため、保存も印刷もできません',
      todo: 'テンキー、ボタンと表示器、または操作画面（kioskドライバの表示器）を取り付けてください。',
    },
  },
  'panel.cancelled': {
    retry: 'after-fix',
    en: { title: 'You cancelled', todo: 'Start again when you like; nothing was changed.' },
    ja: { title: '操作を取りやめました', todo: '必要なときにもう一度始めてください。変更は行われていません。' },
  },
} as const satisfies Record<string, CatalogueEntry>
