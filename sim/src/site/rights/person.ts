/** A member who works a board by its buttons. */
import type { SiteBoard } from '../site.ts'
import { until } from '../wait.ts'

/** How long a busy machine may take for one step. */
export const busyMs = 180_000

/** Works a board's panel as a person does. */
export function personAt({ board, runtime }: SiteBoard) {
  const { panel } = board
  const choices = () => (panel.asked && 'choices' in panel.asked ? panel.asked.choices : [])
  const pick = async (label: RegExp, prompt = /./) => {
    const isAsked = () => choices().some((choice) => label.test(choice.label)) && prompt.test(panel.asked?.prompt ?? '')
    await until(`${label}; asked: ${panel.asked?.prompt}`, isAsked, busyMs)
    panel.pick(choices().findIndex((choice) => label.test(choice.label)))
  }
  return {
    pick,
    /** From the choices with this one a step back. */
    back: async (label: RegExp) => {
      await until(`${label}`, () => choices().some((choice) => label.test(choice.label)), busyMs)
      panel.press('cancel')
    },
    begin: async () => {
      await until('the session', () => runtime.presence?.card?.session !== undefined, busyMs)
      panel.press('ok')
    },
    leave: async () => {
      board.reader.remove()
      await until('the card to be gone', () => runtime.presence?.card === undefined)
    },
    /** Chooses an offered picture and what to do with it. */
    get: async (title: RegExp, what: RegExp) => {
      await pick(/^Pictures, music, films$/)
      await pick(/^Everything that is offered$/)
      await pick(title)
      await pick(what)
      await pick(/^Get it/)
    },
  }
}
