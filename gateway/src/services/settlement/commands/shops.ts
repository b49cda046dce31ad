/** The clerks' commands about shops and their buyers (P6, P7, P9), each a contract: API keys, links to documents, disputes. */
import {
  addShopKey,
  dismissDispute,
  linkDocument,
  listDisputes,
  listShopKeys,
  listShopWebhooksOf,
  revokeShopKey,
  upholdDispute,
} from '@azukari/protocol/contracts/settlement-operators'
import { commandName, serviceContractCommand } from '../../../operator-api/contract-command.ts'
import { clerkOf, hex, idOf, type SettlementCommands, type SettlementContext } from './context.ts'

const moment = (ms: number) => new Date(ms).toISOString()
const day = (ms: number) => new Date(ms).toISOString().slice(0, 10)

export const shopCommands: SettlementCommands = {
  [commandName(addShopKey)]: serviceContractCommand(
    addShopKey,
    { positionals: ['shop'] },
    async ({ service }: SettlementContext, { shop, scope, days = 365 }, act) => {
      const { id, key, scopes, expiresMs } = await service.shopKeys.add(shop, scope, days, clerkOf(act))
      const text = `${key}\nThis is shown once: give it to the shop by a safe way. It may: ${scopes.join(', ')}; until ${day(expiresMs)}.`
      return { reply: { shop, id, key, scopes, expiresMs }, text }
    },
  ),

  [commandName(listShopKeys)]: serviceContractCommand(
    listShopKeys,
    { positionals: ['shop'] },
    async ({ service, ports }: SettlementContext, { shop }) => {
      const keys = (await service.shopKeys.list(shop)).map(({ holder: _, ...key }) => key)
      const lines = keys.map(({ id, scopes, by, expiresMs, revokedMs }) => {
        const ended = expiresMs <= ports.clock.now() ? 'expired' : 'good until'
        const state = revokedMs === undefined ? `${ended} ${day(expiresMs)}` : `revoked ${day(revokedMs)}`
        return `${id}  ${scopes.join(', ')}  ${state}, made by ${by}`
      })
      return { reply: keys, text: lines.join('\n') || 'none' }
    },
  ),

  [commandName(revokeShopKey)]: serviceContractCommand(
    revokeShopKey,
    { positionals: ['shop', 'key'] },
    async ({ service }: SettlementContext, { shop, key }, act) => {
      await service.shopKeys.revoke(shop, key, clerkOf(act))
      return { reply: {}, text: `${key} is refused from now on` }
    },
  ),

  [commandName(listShopWebhooksOf)]: serviceContractCommand(
    listShopWebhooksOf,
    { positionals: ['shop'] },
    async ({ service }: SettlementContext, { shop }) => {
      const hooks = await service.webhooksOf(shop)
      const lines = hooks.map(({ webhook, url, state, waiting, trouble }) => {
        const why = trouble ? `: ${trouble.why} since ${moment(trouble.sinceMs)}` : ''
        return `${webhook}  ${state}  ${waiting} waiting  ${url}${why}`
      })
      return { reply: hooks, text: lines.join('\n') || 'none' }
    },
  ),

  [commandName(linkDocument)]: serviceContractCommand(
    linkDocument,
    { positionals: ['document'] },
    async ({ service, ports }: SettlementContext, { document, minutes = 60 }, act) => {
      const lifeMs = minutes * 60_000
      const path = await service.documentLink(idOf(document, 'document'), { subject: act.operator, lifeMs })
      const untilMs = ports.clock.now() + lifeMs
      const until = `good until ${new Date(untilMs).toISOString()}, for whoever has it`
      if (act.siteUrl !== undefined)
        return { reply: { link: `${act.siteUrl}${path}`, untilMs }, text: `${act.siteUrl}${path}\n${until}` }
      return {
        reply: { link: path, untilMs },
        text: `${path}\n${until}; put https:// and the site’s name and port before it`,
      }
    },
  ),

  [commandName(listDisputes)]: serviceContractCommand(listDisputes, {}, async ({ service }: SettlementContext) => {
    const rows = (await service.payouts.disputes(1_000)).map(({ id, ...row }) => ({ ...row, id: hex(id) }))
    return {
      reply: rows,
      text: rows.map(({ id, number, reason }) => `${id}  ${number}  ${reason}`).join('\n') || 'none',
    }
  }),

  [commandName(upholdDispute)]: serviceContractCommand(
    upholdDispute,
    { positionals: ['dispute'] },
    async ({ service }: SettlementContext, { dispute }, act) => {
      await service.payouts.decideDispute(idOf(dispute, 'dispute'), clerkOf(act), true)
      return { reply: { dispute, upheld: true }, text: 'the buyer has the money back' }
    },
  ),

  [commandName(dismissDispute)]: serviceContractCommand(
    dismissDispute,
    { positionals: ['dispute'] },
    async ({ service }: SettlementContext, { dispute }, act) => {
      await service.payouts.decideDispute(idOf(dispute, 'dispute'), clerkOf(act), false)
      return { reply: { dispute, upheld: false }, text: 'the dispute is dismissed' }
    },
  ),
}
