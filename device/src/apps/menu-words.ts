/** What the member's menu says (S17). */
import type { Language } from '@azukari/protocol/finding-text'

interface MenuWords {
  whatNow: string
  list: string
  listOf: (objects: number) => string
  older: string
  nothingYet: string
  okPrints: string
  print: string
  see: string
  takeOut: string
  takingOut: string
  takenOut: (file: string) => string
  takeOutAll: string
  erase: string
  eraseSure: (name: string) => string
  eraseYes: string
  no: string
  changePin: string
  newPin: string
  newPinAgain: string
}

const words: Record<Language, MenuWords> = {
  en: {
    whatNow: 'What would you like to do?',
    list: 'What I have',
    listOf: (objects) => (objects === 1 ? 'You have one thing here' : `You have ${objects} things, newest first`),
    older: 'Older ones',
    nothingYet: 'Nothing is on this card yet',
    okPrints: 'OK prints it',
    print: 'Print',
    see: 'Show here',
    takeOut: 'Save on the memory card',
    takingOut: 'Being saved on the memory card',
    takenOut: (file) => `On the memory card as ${file}`,
    takeOutAll: 'Take everything out, onto the memory card',
    erase: 'Delete',
    eraseSure: (name) => `Delete ${name} for ever?`,
    eraseYes: 'Yes, delete it everywhere',
    no: 'No',
    changePin: 'Change my PIN',
    newPin: 'your new PIN',
    newPinAgain: 'your new PIN, once more',
  },
  ja: {
    whatNow: '何をなさいますか',
    list: '一覧を見る',
    listOf: (objects) => `${objects}件あります（新しい順）`,
    older: '古いものを見る',
    nothingYet: 'このカードにはまだ何もありません',
    okPrints: 'OKで印刷します',
    print: '印刷する',
    see: 'ここで見る',
    takeOut: 'メモリに保存する',
    takingOut: 'メモリに保存しています',
    takenOut: (file) => `メモリに ${file} として保存しました`,
    takeOutAll: 'すべてをメモリに取り出す',
    erase: '消去する',
    eraseSure: (name) => `${name} を完全に消去しますか`,
    eraseYes: 'はい、すべての場所から消去します',
    no: 'いいえ',
    changePin: '暗証番号を変える',
    newPin: '新しい暗証番号',
    newPinAgain: '確認のためもう一度、新しい暗証番号',
  },
}

export function menuWordsOf(language: Language): MenuWords {
  return words[language]
}
