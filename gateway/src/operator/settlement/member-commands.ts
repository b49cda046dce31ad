/** The clerks' commands about members (P1, P4): applications, letters with codes, how a card stands. */
import { writeFileSync } from 'node:fs'
import { type Command, integer, text } from '@azukari/protocol/adapters/command-line'
import { checker } from '@azukari/protocol/contract'
import { LevelChange } from '@azukari/protocol/contracts/settlement-placement'
import { folder, site } from '../site-options.ts'
import { clerk, hex, idOf, withSettlement } from './access.ts'

const checkChange = checker(LevelChange, 'change of a member')

export const settlementMemberCommands: Record<string, Command> = {
  'settlement applications': {
    what: 'Applications for membership that wait for a clerk.',
    options: { folder, site },
    run: (values) =>
      withSettlement(values, async ({ enrolment }) => {
        const rows = (await enrolment.applications(100)).map(({ id, kind, person, at }) => ({
          id: hex(id),
          kind,
          name: person.name,
          at,
        }))
        return { json: rows, text: rows.map(({ id, kind, name }) => `${id}  ${kind}  ${name}`).join('\n') || 'none' }
      }),
  },

  'settlement accept': {
    what: 'Accepts an application: gives the number and writes the letter with the codes.',
    positionals: 'APPLICATION',
    options: { folder, site, clerk, out: { type: 'string', what: 'file of the letter (PDF)', required: true } },
    run: (values, [application]) =>
      withSettlement(values, async (settlement) => {
        const { number, letter } = await settlement.enrolment.accept(
          idOf(application, 'application'),
          text(values, 'clerk'),
        )
        writeFileSync(text(values, 'out'), (await settlement.document(letter))!.content, { mode: 0o600 })
        return {
          json: { number, letter: text(values, 'out') },
          text: `${number}: print and post ${text(values, 'out')}`,
        }
      }),
  },

  'settlement reissue': {
    what: 'New codes for a member by letter, after a loss.',
    positionals: 'NUMBER',
    options: { folder, site, clerk, out: { type: 'string', what: 'file of the letter (PDF)', required: true } },
    run: (values, [number = '']) =>
      withSettlement(values, async (settlement) => {
        const { letter } = await settlement.enrolment.reissue(number, text(values, 'clerk'))
        writeFileSync(text(values, 'out'), (await settlement.document(letter))!.content, { mode: 0o600 })
        return { json: { number, letter: text(values, 'out') }, text: `print and post ${text(values, 'out')}` }
      }),
  },

  'settlement member': {
    what: 'How a member’s card stands here and at placement; with --plan, --level or --home it changes, and placement is told.',
    positionals: 'NUMBER',
    options: {
      folder,
      site,
      clerk: { ...clerk, required: false },
      plan: { type: 'string', what: 'light, basic, standard or premium; years of membership are added' },
      level: { type: 'string', what: '0 to 3, in place of a plan' },
      home: { type: 'string', what: 'home region, such as JP-13' },
      found: { type: 'boolean', what: 'the card that was reported lost is back' },
    },
    run: (values, [number = '']) =>
      withSettlement(values, async ({ enrolment }) => {
        const { plan, level, home } = values
        if (plan !== undefined || level !== undefined || home !== undefined)
          await enrolment.change(
            number,
            text(values, 'clerk'),
            checkChange({
              ...(plan !== undefined && { plan }),
              ...(level !== undefined && { level: integer(values, 'level', 0, 3) }),
              ...(home !== undefined && { home }),
            }),
          )
        if (values['found']) await enrolment.found(number, text(values, 'clerk'))
        const standing = await enrolment.standing(number)
        const { lost, inStep, refused } = standing
        const at = standing.level === undefined ? 'not known there' : `level ${standing.level}, ${standing.home}`
        return {
          json: { number, ...standing },
          text: `${number}: card ${lost ? 'lost' : 'good'}; placement: ${at}${inStep ? '' : ', being told'}${refused ? `, refused: ${refused}` : ''}`,
        }
      }),
  },
}
