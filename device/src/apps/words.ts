/** What boards say to the person in front of them, in the language that the board is set to (D6, S17). */
import type { Language } from '@azukari/protocol/finding-text'
import { describe, isProblem, Problem } from '@azukari/protocol/problem'
import type { Shown } from '../drivers.ts'
import type { LeftOut } from '../place/without-place.ts'

interface Words {
  insertCard: string
  welcome: (name: string) => string
  pressOk: string
  pinOf: (name: string) => string
  buttonsPin: string
  buttonsDone: string
  buttonsRemove: string
  takePicture: string
  waitsForPicture: (folder: string) => string
  shutterButton: string
  menuButton: string
  listButton: string
  cancelButton: string
  nothingYet: string
  place: (at: number, of: number, name: string) => string
  fetching: (region: string) => string
  printing: string
  printed: (name: string) => string
  here: (name: string) => string
  onItsWay: string
  withoutLine: string
  withoutPlace: string
  leftOut: Record<LeftOut, string>
  placeMayBeIn: (name: string) => string
  keepNot: string
  keepAsItIs: string
  received: (name: string) => string
  beingKept: string
  kept: (name: string) => string
  places: (regions: readonly { region: string; distanceKm: number }[]) => string
  waits: (why: string) => string
  triesLeft: (tries: number) => string
  wishWritten: [string, string]
  wishAccepted: string
  toDestroy: (objects: number) => string
  progress: (done: number, of: number) => string
  exported: (files: number) => string
  missing: (files: number) => string
  allOfIt: string
  pinChanged: string
  unblocked: [string, string]
}

const words: Record<Language, Words> = {
  en: {
    insertCard: 'Please insert your card',
    welcome: (name) => `Welcome, ${name}`,
    pressOk: 'Press OK to see what you have',
    pinOf: (name) => `PIN of ${name}`,
    buttonsPin: 'Up and down choose, OK takes, cancel leaves',
    buttonsDone: 'done',
    buttonsRemove: 'delete one',
    takePicture: 'Now the picture',
    waitsForPicture: (folder) => `Put it into ${folder}`,
    shutterButton: 'Take a picture',
    menuButton: 'What I have, and more',
    listButton: 'What I have',
    cancelButton: 'Cancel',
    nothingYet: 'Nothing is on this card yet',
    place: (at, of, name) => `${at} of ${of}: ${name}`,
    fetching: (region) => `Fetching from ${region}`,
    printing: 'Printing',
    printed: (name) => `${name}: printed`,
    here: (name) => `${name}: on this device`,
    onItsWay: 'On its way to two safe places',
    withoutLine: 'No line now; it goes on by itself when there is one',
    withoutPlace: 'Without the place where it was made, until you allow it: My consent',
    placeMayBeIn: (name) => `${name} may say where it was made, and that cannot be taken out. Keep it?`,
    keepNot: 'No, do not keep it',
    keepAsItIs: 'Yes, keep it as it is',
    leftOut: {
      provenance: 'Its proof of origin (C2PA) went with the place',
      tracks: 'What is neither picture nor sound went with the place',
    },
    received: (name) => `${name}: received`,
    beingKept: 'Being kept in two safe places',
    kept: (name) => `${name}: kept in two places`,
    places: (regions) => regions.map(({ region, distanceKm }) => `${region} (${distanceKm} km)`).join(' and '),
    waits: (why) => `Waits: ${why}`,
    triesLeft: (tries) => (tries === 1 ? 'One try is left' : `${tries} tries are left`),
    wishWritten: ['Your wish is written down', 'It will be delivered'],
    wishAccepted: 'Your wish is accepted',
    toDestroy: (objects) => `To be destroyed: ${objects}`,
    progress: (done, of) => `${done} of ${of}`,
    exported: (files) => `${files} exported`,
    missing: (files) => `${files} could not be had`,
    allOfIt: 'All of it',
    pinChanged: 'Your PIN is changed',
    unblocked: ['Your card is unblocked', 'Use your new PIN from now on'],
  },
  ja: {
    insertCard: 'カードを入れてください',
    welcome: (name) => `${name} 様、こんにちは`,
    pressOk: 'OKを押すと一覧が出ます',
    pinOf: (name) => `${name} 様の暗証番号`,
    buttonsPin: '上下で選び、OKで決定、取消で中止',
    buttonsDone: '入力終わり',
    buttonsRemove: '一字消す',
    takePicture: '写真をどうぞ',
    waitsForPicture: (folder) => `${folder} に写真を入れてください`,
    shutterButton: '撮影する',
    menuButton: '一覧とその他の操作',
    listButton: '一覧を見る',
    cancelButton: '取消',
    nothingYet: 'このカードにはまだ何もありません',
    place: (at, of, name) => `${of}件中 ${at}件目：${name}`,
    fetching: (region) => `${region} から取り出しています`,
    printing: '印刷しています',
    printed: (name) => `${name}：印刷しました`,
    here: (name) => `${name}：この端末にあります`,
    onItsWay: '二か所の安全な場所へ送っています',
    withoutLine: '回線がありません。つながり次第、自動で送ります',
    withoutPlace: '撮影場所は残しません（残すには「同意の設定」で同意してください）',
    placeMayBeIn: (name) => `${name} には作られた場所が含まれるかもしれず、取り除けません。このまま預けますか`,
    keepNot: 'いいえ、預けません',
    keepAsItIs: 'はい、このまま預けます',
    leftOut: {
      provenance: '撮影場所とともに来歴情報（C2PA）も外しました',
      tracks: '撮影場所とともに映像・音声以外の記録も外しました',
    },
    received: (name) => `${name}：受け取りました`,
    beingKept: '二か所の安全な場所に保存しています',
    kept: (name) => `${name}：二か所に保存しました`,
    places: (regions) => regions.map(({ region, distanceKm }) => `${region}（${distanceKm} km）`).join(' と '),
    waits: (why) => `お待ちください：${why}`,
    triesLeft: (tries) => `あと${tries}回入力できます`,
    wishWritten: ['お申し出を書き留めました', 'これから届けます'],
    wishAccepted: 'お申し出を受け付けました',
    toDestroy: (objects) => `消去するもの：${objects}件`,
    progress: (done, of) => `${of}件中 ${done}件`,
    exported: (files) => `${files}件を取り出しました`,
    missing: (files) => `${files}件は取り出せませんでした`,
    allOfIt: 'すべて取り出しました',
    pinChanged: '暗証番号を変更しました',
    unblocked: ['カードが使えるようになりました', '今後は新しい暗証番号をお使いください'],
  },
}

/** @param language of the board; English when it was told none */
export function wordsOf(language: (() => Language) | undefined): Words {
  return words[language?.() ?? 'en']
}

/** S17: what happened, what can be done, and after a wrong PIN how many tries are left. */
export function problemShown(error: unknown, language: (() => Language) | undefined): Shown {
  const problem = isProblem(error) ? error : new Problem('internal', String(error))
  const { title, todo } = describe(problem.code, language?.() ?? 'en')
  const triesLeft = problem.data?.['triesLeft']
  const counts = problem.code === 'card.wrong-pin' && typeof triesLeft === 'number'
  return {
    lines: [title, ...(counts ? [wordsOf(language).triesLeft(triesLeft)] : []), todo],
    tone: 'problem',
  }
}
