/** Problems of hazard feeds (S5, S9); as part of the catalogue. */
import type { CatalogueEntry } from './entry.ts'

export const hazardProblems = {
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
  'feed.refused': {
    retry: 'after-fix',
    en: {
      title: 'A hazard feed led to an address that is not allowed',
      todo: 'What was known keeps counting. Check who answers at its address; a host of your own network that it may redirect to is named in mayRedirectTo of hazards.json.',
    },
    ja: {
      title: '災害情報の配信元が、許可されていないアドレスへ転送しました',
      todo: 'それまでの情報は有効のままです。配信元を確認してください。転送先が自社のネットワーク内なら、hazards.jsonのmayRedirectToに指定してください。',
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
} as const satisfies Record<string, CatalogueEntry>
