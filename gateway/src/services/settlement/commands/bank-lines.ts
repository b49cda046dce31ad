/**
 * The clerks' commands about lines of our account that wait (P5, P9): each has a way out, and each act that moves money takes
 * two people.
 */
import { text } from '@azukari/protocol/adapters/command-line'
import { Problem } from '@azukari/protocol/problem'
import { folder, site } from '../../../operator/site-options.ts'
import type { AsideReason } from '../bank/files/bank-file.ts'
import { clerkOf, hex, idOf, type SettlementCommands } from './context.ts'

export const asideWords: Record<AsideReason, string> = {
  account: 'not our account',
  currency: 'a currency that is not kept here',
  differs: 'the bank’s reference is known with something else',
  'perhaps-known': 'perhaps known already',
  order: 'an order that we did not give',
  amount: 'another amount than was asked',
}

export const bankLineCommands: SettlementCommands = {
  'settlement unmatched': {
    what: 'Lines of our account without an owner; settlement assign names one for money that came.',
    role: 'clerk',
    options: { folder, site },
    async carryOut({ service: { bank } }) {
      const rows = (await bank.unmatched(1_000)).map(({ id, ...row }) => ({ id: hex(id), ...row }))
      const lines = rows.map(({ id, bookedOn, direction, minor, currency, about }) =>
        `${id}  ${bookedOn}  ${direction.padEnd(3)}  ${minor} ${currency}  ${about ?? ''}`.trimEnd(),
      )
      return { json: rows, text: lines.join('\n') || 'none' }
    },
  },

  'settlement aside': {
    what: 'What bank files told and could not be booked as it stood; settlement admit books one, settlement drop does not.',
    role: 'clerk',
    options: { folder, site },
    async carryOut({ service: { bank } }) {
      const rows = (await bank.aside(1_000)).map(({ id, place, why, detail }) => ({ id: hex(id), place, why, detail }))
      const lines = rows.map(({ id, why, detail }) => `${id}  ${asideWords[why]}  ${detail}`)
      return { json: rows, text: lines.join('\n') || 'none' }
    },
  },

  'settlement admit': {
    what: 'Books what was set aside as an entry of its own. Takes two people.',
    role: 'clerk',
    twoPeople: true,
    positionals: 'ENTRY',
    options: { folder, site },
    async carryOut({ service: { bank } }, act, _values, [entry]) {
      await bank.decideAside(idOf(entry, 'entry'), true, clerkOf(act))
      return { json: { entry, admitted: true }, text: 'it is booked' }
    },
  },

  'settlement drop': {
    what: 'Drops what was set aside: it is booked already, or not ours. Takes two people.',
    role: 'clerk',
    twoPeople: true,
    positionals: 'ENTRY',
    options: { folder, site },
    async carryOut({ service: { bank } }, act, _values, [entry]) {
      await bank.decideAside(idOf(entry, 'entry'), false, clerkOf(act))
      return { json: { entry, admitted: false }, text: 'it is dropped' }
    },
  },

  'settlement assign': {
    what: 'Names the owner of money that came without one. Takes two people.',
    role: 'clerk',
    twoPeople: true,
    positionals: 'LINE',
    options: {
      folder,
      site,
      payment: { type: 'string', what: 'payment number that it is for', required: true },
      'as-it-came': { type: 'boolean', what: 'the value is what came, whatever was asked for' },
    },
    async carryOut({ service: { bank } }, act, values, [line]) {
      const payment = text(values, 'payment')
      await bank.assign(idOf(line, 'line'), payment, clerkOf(act), values['as-it-came'] === true)
      return { json: { line, payment }, text: `the money is for ${payment}; its value is issued` }
    },
  },

  'settlement split': {
    what: 'Parts a line into amounts that make it up; each is then for its own owner. Takes two people.',
    role: 'clerk',
    twoPeople: true,
    positionals: 'LINE',
    options: { folder, site, amounts: { type: 'string', what: 'minor units, such as 1000,2000', required: true } },
    async carryOut({ service: { bank } }, act, values, [line]) {
      const amounts = text(values, 'amounts')
      if (!/^\d{1,12}(,\d{1,12})+$/.test(amounts))
        throw new Problem('config.invalid', 'amounts are integers with commas between, such as 1000,2000')
      const booked = await bank.split(idOf(line, 'line'), amounts.split(',').map(Number), clerkOf(act))
      return {
        json: { line, booked },
        text: `parted; ${booked} found their owner, the others are in settlement unmatched`,
      }
    },
  },

  'settlement explain': {
    what: 'Says what a line is: charges of the bank, income of ours, or the same money as another line. Takes two people.',
    role: 'clerk',
    twoPeople: true,
    positionals: 'LINE',
    options: {
      folder,
      site,
      as: { type: 'string', what: 'charges, or income' },
      pair: { type: 'string', what: 'the line that went the other way' },
    },
    async carryOut({ service: { bank } }, act, values, [line]) {
      const { as, pair } = values
      const id = idOf(line, 'line')
      if (pair !== undefined && as === undefined) {
        await bank.pair(id, idOf(pair, 'line'), clerkOf(act))
        return { json: { line, pair }, text: 'the two lines are one to and fro' }
      }
      if (pair !== undefined || (as !== 'charges' && as !== 'income'))
        throw new Problem('config.invalid', 'either --as charges, --as income, or --pair LINE')
      await bank.explain(id, as, clerkOf(act))
      return { json: { line, as }, text: `the line is ${as}` }
    },
  },

  'settlement send-back': {
    what: 'Sends money that came back to a member’s own account, with the next file of payouts. Takes two people.',
    role: 'clerk',
    twoPeople: true,
    positionals: 'LINE',
    options: { folder, site, member: { type: 'string', what: 'number of the member', required: true } },
    async carryOut({ service: { bank } }, act, values, [line]) {
      const payout = await bank.sendBack(idOf(line, 'line'), text(values, 'member'), clerkOf(act))
      return { json: { line, payout }, text: `it goes back with payout ${payout}` }
    },
  },
}
