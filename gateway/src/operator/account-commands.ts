/** `azukari-gateway login`, `operator …`, `confirm`: who works on this site (D6, D8). */

import type { Command, Values } from '@azukari/protocol/adapters/command'
import { integer, text } from '@azukari/protocol/adapters/command-line'
import { readNamedText } from '@azukari/protocol/adapters/named-file'
import {
  addOperator,
  changeRoles,
  disableOperator,
  listOperators,
  renewPassword,
  renewTotp,
} from '@azukari/protocol/contracts/operators'
import { Problem } from '@azukari/protocol/problem'
import { pinnedAuthority } from '../adapters/operator-https.ts'
import { readSession, removeSession, writeSession } from '../adapters/session-file.ts'
import { askSecret } from '../adapters/terminal.ts'
import { callSite, placeOf } from '../operator-api/client.ts'
import { commandName, contractCommand } from '../operator-api/contract-command.ts'
import { siteUrlOption } from '../operator-api/local.ts'
import { knownRoles } from '../operator-api/role-list.ts'
import type { OperatorCommand } from '../operator-api/roles.ts'
import { folder } from './site-options.ts'

export const sessionCommands: Record<string, Command> = {
  login: {
    what: 'Signs you in: asks for your password, and keeps the session in a file of your own for 12 hours.',
    positionals: 'NAME',
    options: {
      folder,
      'site-url': siteUrlOption,
      'site-pin': {
        type: 'string',
        what: 'SHA-256 of the certificate of that site’s authority, which doctor shows there',
      },
      'site-ca': {
        type: 'string',
        what: 'file with that certificate (tls/authority.pem of the site’s folder); in place of --site-pin',
      },
      'password-file': { type: 'string', what: 'file that holds the password; else it is asked for' },
      code: { type: 'string', what: 'the code of your telephone, where the account has one' },
    },
    async run(values, [name]) {
      const place = placeOf(values)
      if (!name) throw new Problem('config.invalid', 'who? login NAME')
      // Before the password is asked for: nobody is to type it for a stranger.
      const authority = await authorityOf(place, values)
      const file = values['password-file']
      const password =
        file === undefined ? await askSecret(`Password of ${name}: `) : readNamedText(String(file)).trim()
      const code = values['code']
      const call: Values = { folder: values['folder'], 'site-url': values['site-url'], name, password, code }
      const { json } = await callSite('login', call, [], {}, authority)
      writeSession(place, { ...authority, token: String((json as { token: string }).token) })
      return { json: { operator: name }, text: `${name} is signed in` }
    },
  },

  logout: {
    what: 'Ends your session.',
    options: { folder, 'site-url': siteUrlOption },
    async run(values) {
      const answer = await callSite('logout', values, [])
      removeSession(placeOf(values))
      return answer
    },
  },

  whoami: {
    what: 'Says who is signed in, with which roles, and until when.',
    options: { folder, 'site-url': siteUrlOption },
    run: (values) => callSite('whoami', values, []),
  },

  confirm: {
    what: 'Carries out what another person began, where two people are needed.',
    positionals: 'ID',
    options: {
      folder,
      'site-url': siteUrlOption,
      out: { type: 'string', what: 'file to write, when what is confirmed gives one' },
    },
    run: (values, positionals) => callSite('confirm', values, positionals, { filesOut: ['out'] }),
  },

  pending: {
    what: 'Lists what waits for a second person with a role of yours: confirm carries it out, decline ends it.',
    options: { folder, 'site-url': siteUrlOption },
    run: (values) => callSite('pending', values, []),
  },

  decline: {
    what: 'Ends what waits for a second person, whether you began it or another one did.',
    positionals: 'ID',
    options: { folder, 'site-url': siteUrlOption },
    run: (values, positionals) => callSite('decline', values, positionals),
  },
}

/** By what a site on another machine is known: given, pinned, or kept from the last time. @throws {Problem} `config.invalid` */
async function authorityOf(place: string, values: Values): Promise<{ authority?: string }> {
  if (!place.startsWith('https://')) return {}
  if (values['site-ca'] !== undefined) return { authority: readNamedText(text(values, 'site-ca')) }
  if (values['site-pin'] !== undefined) return { authority: await pinnedAuthority(place, text(values, 'site-pin')) }
  const kept = readSession(place)?.authority
  if (kept) return { authority: kept }
  throw new Problem('config.invalid', `by what is ${place} known? Give --site-pin or --site-ca`)
}

const named = { positionals: ['name'] } as const

export const operatorCommands: Record<string, OperatorCommand> = {
  [commandName(addOperator)]: contractCommand(addOperator, named, async ({ accounts }, { name, role = [] }) => {
    const password = accounts.newPassword()
    await accounts.add(name, knownRoles(role), password)
    return { reply: { operator: name, password }, text: `operator ${name}\npassword ${password}` }
  }),

  [commandName(listOperators)]: contractCommand(listOperators, {}, async ({ accounts }) => {
    const list = await accounts.list()
    const lines = list.map(({ name, roles: held, totp, disabled }) =>
      [name, held.join(','), totp ? 'with code' : '', disabled ? 'closed' : ''].filter(Boolean).join('  '),
    )
    return { reply: list, text: lines.join('\n') }
  }),

  [commandName(changeRoles)]: contractCommand(changeRoles, named, async ({ accounts }, { name, role }) => {
    const held = knownRoles(role)
    await accounts.setRoles(name, held)
    return { reply: { operator: name, roles: [...held] }, text: `${name} may: ${held.join(', ')}` }
  }),

  [commandName(disableOperator)]: contractCommand(disableOperator, named, async ({ accounts }, { name }) => {
    await accounts.disable(name)
    return { reply: { disabled: name }, text: `${name} is closed` }
  }),

  [commandName(renewPassword)]: contractCommand(renewPassword, named, async ({ accounts }, { name }) => {
    const password = accounts.newPassword()
    await accounts.setPassword(name, password)
    return { reply: { operator: name, password }, text: `operator ${name}\npassword ${password}` }
  }),

  [commandName(renewTotp)]: contractCommand(renewTotp, named, async ({ accounts }, { name }) => {
    const secret = await accounts.newTotp(name)
    const uri = `otpauth://totp/Azukari:${name}?secret=${secret}&issuer=Azukari`
    return { reply: { operator: name, secret, uri }, text: `${secret}\n${uri}` }
  }),

  'operator log': {
    what: 'Shows what operators did, the latest first. With --check it looks whether the log is whole; exit 1 when not.',
    role: 'auditor',
    options: {
      folder,
      check: { type: 'boolean', what: 'look for entries that were changed or taken away' },
      limit: { type: 'string', what: 'how many', default: '50' },
    },
    async carryOut({ log }, values) {
      if (values['check']) {
        const wrong = await log.check()
        const ok = wrong.length === 0
        return { json: { ok, wrong }, text: ok ? 'the log is whole' : wrong.join('\n'), exit: ok ? 0 : 1 }
      }
      const entries = (await log.latest(integer(values, 'limit', 1, 10_000))).map(
        ({ id, at_ms, operator, session, command, digest, outcome }) => ({
          id,
          at: new Date(at_ms).toISOString(),
          operator,
          session: hex(session).slice(0, 16),
          command,
          digest: hex(digest),
          outcome,
        }),
      )
      const lines = entries.map(({ id, at, operator, command, outcome }) =>
        [id, at, operator || '-', command, outcome].join('  '),
      )
      return { json: entries, text: lines.join('\n') }
    },
  },
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
