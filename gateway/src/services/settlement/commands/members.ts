/** The clerks' commands about members (P1, P4): applications, letters with codes, how a card stands. */
import { integer } from '@azukari/protocol/adapters/command-line'
import { checker } from '@azukari/protocol/contract'
import { LevelChange } from '@azukari/protocol/contracts/settlement-placement'
import { folder, site } from '../../../operator/site-options.ts'
import type { ServiceAct } from '../../../operator-api/roles.ts'
import type { Settlement } from '../service.ts'
import { clerkOf, hex, idOf, type SettlementCommands } from './context.ts'

const checkChange = checker(LevelChange, 'change of a member')
const letterFile = { type: 'string', what: 'file of the letter (PDF)', required: true } as const

export const memberCommands: SettlementCommands = {
  'settlement applications': {
    what: 'Applications for membership that wait for a clerk.',
    role: 'clerk',
    options: { folder, site },
    async carryOut({ service: { enrolment } }) {
      const rows = (await enrolment.applications(100)).map(({ id, kind, person, at }) => ({
        id: hex(id),
        kind,
        name: person.name,
        at,
      }))
      return { json: rows, text: rows.map(({ id, kind, name }) => `${id}  ${kind}  ${name}`).join('\n') || 'none' }
    },
  },

  'settlement accept': {
    what: 'Accepts an application: gives the number and writes the letter with the codes.',
    role: 'clerk',
    positionals: 'APPLICATION',
    options: { folder, site, out: letterFile },
    filesOut: ['out'],
    async carryOut({ service }, act, values, [application]) {
      const { number, letter } = await service.enrolment.accept(idOf(application, 'application'), clerkOf(act))
      await giveLetter(service, act, letter)
      return { json: { number, letter: values['out'] }, text: `${number}: print and post ${values['out']}` }
    },
  },

  'settlement reissue': {
    what: 'New codes for a member by letter, after a loss.',
    role: 'clerk',
    positionals: 'NUMBER',
    options: { folder, site, out: letterFile },
    filesOut: ['out'],
    async carryOut({ service }, act, values, [number = '']) {
      const { letter } = await service.enrolment.reissue(number, clerkOf(act))
      await giveLetter(service, act, letter)
      return { json: { number, letter: values['out'] }, text: `print and post ${values['out']}` }
    },
  },

  'settlement member': {
    what: 'How a member’s card stands here and at placement; with --plan, --level or --home it changes, and placement is told.',
    role: 'clerk',
    positionals: 'NUMBER',
    options: {
      folder,
      site,
      plan: { type: 'string', what: 'light, basic, standard or premium; years of membership are added' },
      level: { type: 'string', what: '0 to 3, in place of a plan' },
      home: { type: 'string', what: 'home region, such as JP-13' },
      found: { type: 'boolean', what: 'the card that was reported lost is back' },
    },
    async carryOut({ service: { enrolment } }, act, values, [number = '']) {
      const { plan, level, home } = values
      const change: Record<string, unknown> = {}
      if (plan !== undefined) change['plan'] = plan
      if (level !== undefined) change['level'] = integer(values, 'level', 0, 3)
      if (home !== undefined) change['home'] = home
      if (Object.keys(change).length > 0) await enrolment.change(number, clerkOf(act), checkChange(change))
      if (values['found']) await enrolment.found(number, clerkOf(act))
      const standing = await enrolment.standing(number)
      const { lost, inStep, refused } = standing
      const at = standing.level === undefined ? 'not known there' : `level ${standing.level}, ${standing.home}`
      return {
        json: { number, ...standing },
        text: `${number}: card ${lost ? 'lost' : 'good'}; placement: ${at}${inStep ? '' : ', being told'}${refused ? `, refused: ${refused}` : ''}`,
      }
    },
  },
}

async function giveLetter(service: Settlement, act: ServiceAct, letter: Uint8Array): Promise<void> {
  const document = await service.document(letter)
  if (document) await act.give({ option: 'out', bytes: document.content })
}
