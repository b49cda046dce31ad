/** Operators' commands on behalf of providers (C5): what is offered, who holds it, and its end. */
import { hex } from '@azukari/protocol/bytes'
import {
  addContent,
  linkContent,
  listContent,
  type OfferedContent,
  showContent,
  withdrawContent,
} from '@azukari/protocol/contracts/content-operators'
import { formatAmount } from '@azukari/protocol/money'
import { Problem } from '@azukari/protocol/problem'
import { commandName, serviceContractCommand } from '../../../operator-api/contract-command.ts'
import { contents, deliveries, holders, type ListedRow } from '../store.ts'
import { type ContentCommands, type ContentContext, idOf } from './context.ts'

const listMax = 1_000

export const offerCommands: ContentCommands = {
  [commandName(addContent)]: {
    ...serviceContractCommand(
      addContent,
      { positionals: ['file'] },
      async ({ content: { register } }: ContentContext, asked, act) => {
        const { path, bytes } = act.file('FILE')
        const { provider, title, price, terms = '', type, origin, replaces } = asked
        const picture = asked.picture === undefined ? undefined : act.file('picture')
        const row = await register.add({
          name: path,
          bytes,
          provider,
          title,
          price,
          terms,
          type,
          picture: picture && { name: picture.path, bytes: picture.bytes },
          origin,
          replaces: replaces === undefined ? undefined : idOf(replaces),
        })
        const reply = offeredOf(row)
        return { reply, text: `${lineOf(reply)}\nIt is offered from now on; its origin is ${reply.origin}.` }
      },
    ),
    filesIn: ['FILE', 'picture'],
  },

  [commandName(listContent)]: serviceContractCommand(
    listContent,
    {},
    async ({ content: { store } }: ContentContext, { words }) => {
      const reply = (await contents.all(store.sql, words, listMax)).map(offeredOf)
      return { reply, text: reply.map(lineOf).join('\n') || 'none' }
    },
  ),

  [commandName(showContent)]: serviceContractCommand(
    showContent,
    { positionals: ['content'] },
    async ({ content: { store } }: ContentContext, { content: named }) => {
      const { sql } = store
      const id = idOf(named)
      const row = await contents.byId(sql, id)
      const versions = await contents.versions(sql, id)
      const newest = versions.at(-1)
      if (!row || !newest) throw new Problem('content.unknown', named)
      const holding = await holders.of(sql, newest.root)
      const avoided = await holders.avoided(sql, newest.root)
      const reply = {
        content: offeredOf({ ...row, size: newest.size, has_picture: 0 }),
        terms: row.terms,
        versions: versions.map(({ version, size, root, at }) => ({
          version,
          sizeBytes: size,
          root: hex(new Uint8Array(root)),
          atMs: at,
        })),
        holders: holding.map(({ server, pinned, until }) => ({ server, isOrigin: pinned === 1, untilMs: until })),
        avoided: avoided.map(({ server, why, times, until }) => ({ server, why, times, untilMs: until })),
        deliveries: await deliveries.count(sql, id),
      }
      const lines = [
        lineOf(reply.content),
        ...reply.holders.map(({ server, isOrigin }) => `  held by ${server}${isOrigin ? ', its origin' : ''}`),
        ...reply.avoided.map(({ server, why, times }) => `  ${server} was ${why} ${times} times`),
        `  delivered ${reply.deliveries} times`,
      ]
      return { reply, text: lines.join('\n') }
    },
  ),

  [commandName(linkContent)]: serviceContractCommand(
    linkContent,
    { positionals: ['content'] },
    async ({ content: { links }, ports }: ContentContext, { content, card, minutes = 60, region }, act) => {
      const lifeMs = minutes * 60_000
      const payer = new Uint8Array(Buffer.from(card, 'hex'))
      const path = await links.make({ content: idOf(content), card: payer, region, lifeMs })
      const untilMs = ports.clock.now() + lifeMs
      const link = `${act.siteUrl ?? ''}${path}`
      const until = `good until ${new Date(untilMs).toISOString()}, for whoever has it; charged when it is used first`
      const where = act.siteUrl === undefined ? '; put https:// and the site’s name and port before it' : ''
      return { reply: { link, untilMs }, text: `${link}\n${until}${where}` }
    },
  ),

  [commandName(withdrawContent)]: serviceContractCommand(
    withdrawContent,
    { positionals: ['content'] },
    async ({ content: { register } }: ContentContext, { content: named }) => {
      await register.withdraw(idOf(named))
      return { reply: { content: named, state: 'withdrawn' }, text: `${named} is offered no more` }
    },
  ),
}

function offeredOf(row: ListedRow): OfferedContent {
  return {
    id: hex(new Uint8Array(row.id)),
    provider: row.provider,
    title: row.title,
    mediaType: row.media,
    version: row.version,
    sizeBytes: row.size,
    contentMinor: row.price,
    currency: row.currency,
    state: row.state,
    origin: row.origin,
  }
}

function lineOf({ id, title, mediaType, version, contentMinor, currency, state }: OfferedContent): string {
  const price = contentMinor === 0 ? 'free' : `${formatAmount(BigInt(contentMinor), currency)} ${currency}`
  return `${id}  ${title}  ${mediaType}  version ${version}  ${price}${state === 'withdrawn' ? '  withdrawn' : ''}`
}
