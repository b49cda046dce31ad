/** Problems of operators and their accounts (D6, D8); as part of the catalogue. */
import type { CatalogueEntry } from './entry.ts'

export const operatorProblems = {
  'operator.not-running': {
    retry: 'after-fix',
    en: {
      title: 'Nothing runs on this site that could answer',
      todo: 'Start the gateway (azukari-gateway run). Without it only init, doctor, service, config check, acl, placement rebuild and the commands that only read (their help says so) work.',
    },
    ja: {
      title: 'このサイトで応答するプログラムが動いていません',
      todo: 'ゲートウェイを起動してください（azukari-gateway run）。起動していないときに使えるのは init、doctor、service、config check、acl、placement rebuild と、閲覧だけのコマンド（ヘルプに記載）だけです。',
    },
  },
  'operator.unauthenticated': {
    retry: 'after-fix',
    en: { title: 'You are not signed in', todo: 'Sign in with azukari-gateway login NAME and try again.' },
    ja: {
      title: 'サインインしていません',
      todo: 'azukari-gateway login 名前 でサインインしてから、もう一度お試しください。',
    },
  },
  'operator.forbidden': {
    retry: 'after-fix',
    en: {
      title: 'Your account does not have the role that this needs',
      todo: 'Ask somebody who has the role, or an administrator of the site to give it to you.',
    },
    ja: {
      title: 'この操作に必要な役割がアカウントにありません',
      todo: '役割を持つ人に頼むか、サイトの管理者に役割の追加を依頼してください。',
    },
  },
  'operator.same-person': {
    retry: 'no',
    en: { title: 'You began this yourself', todo: 'Another person with the role must sign in and confirm it.' },
    ja: { title: 'この操作を始めたのはあなた自身です', todo: '役割を持つ別の人がサインインして確認してください。' },
  },
  'operator.pending-unknown': {
    retry: 'no',
    en: {
      title: 'Nothing of this number waits for a second person',
      todo: 'Look at the number; what waits longer than 24 hours must be begun again.',
    },
    ja: {
      title: 'この番号で確認を待っている操作はありません',
      todo: '番号を確かめてください。24時間を過ぎたものは最初からやり直してください。',
    },
  },
  'operator.login-refused': {
    retry: 'after-fix',
    en: {
      title: 'The name, the password or the code is wrong, or the account is closed',
      todo: 'Try again with care; an administrator can set a new password.',
    },
    ja: {
      title: '名前、パスワード、確認コードのいずれかが違うか、アカウントが無効です',
      todo: 'よく確かめてもう一度お試しください。管理者が新しいパスワードを設定できます。',
    },
  },
  'operator.other-site': {
    retry: 'after-fix',
    en: {
      title: 'Whoever answers at this address is not the site',
      todo: 'Nothing was sent. Check --site-url, and --site-pin or --site-ca: azukari-gateway doctor on the site’s machine shows the fingerprint.',
    },
    ja: {
      title: 'このアドレスで応答しているのは目的のサイトではありません',
      todo: '何も送信していません。--site-url と、--site-pin または --site-ca を確かめてください。指紋はサイトの機械で azukari-gateway doctor を実行すると表示されます。',
    },
  },
  'operator.login-wait': {
    retry: 'later',
    en: { title: 'Too many tries in a row', todo: 'Wait as long as the detail says, then try again.' },
    ja: { title: '続けて何度も失敗しました', todo: '詳細に示された時間だけ待ってから、もう一度お試しください。' },
  },
} as const satisfies Record<string, CatalogueEntry>
