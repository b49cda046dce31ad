import { DecisionsMenu } from '@azukari/device/apps/decisions'
import { Dialogue } from '@azukari/device/apps/dialogue'
import type { PresentCard } from '@azukari/device/apps/presence'
import { Problem } from '@azukari/protocol/problem'
import t from 'tap'
import { SimulatedDisplay, SimulatedPanel } from '../../testkit/boards/index.ts'
import { until } from '../wait.ts'

const never = new AbortController().signal

function standing(settings: () => Promise<{ location: boolean; abroad: boolean; retentionDays: number }>) {
  const panel = new SimulatedPanel({ entry: ['pin', 'text', 'choice'] })
  const wishes: unknown[] = []
  const told: string[] = []
  let allows = false
  const card = {} as PresentCard
  const menu = new DecisionsMenu({
    dialogue: new Dialogue({
      panels: [panel],
      display: new SimulatedDisplay(),
      clock: {
        now: Date.now,
        monotonicMs: Date.now,
        sleep: async () => {},
        timer: () => ({ cancel() {}, [Symbol.dispose]() {} }),
      },
      language: () => 'en',
    }),
    showProblem: async (error) => void told.push(String(error)),
    terminal: { wish: async (wish) => void wishes.push(wish) as never },
    requests: { settings },
    presence: { require: () => card },
    marks: {
      allows: async () => allows,
      decide: async (_card, to) => {
        allows = to
      },
    },
    language: () => 'en',
  })
  const open = menu.open(never)
  const labels = () => (panel.asked && 'choices' in panel.asked ? panel.asked.choices.map(({ label }) => label) : [])
  const pick = async (label: string, prompt = /./) => {
    await until(label, () => labels().includes(label) && prompt.test(panel.asked?.prompt ?? ''))
    panel.pick(labels().indexOf(label))
  }
  const back = async () => {
    await until('the menu', () => labels().includes('My consent'))
    panel.press('cancel')
    await open
  }
  return { pick, back, wishes, told }
}

t.test('D8: consent, retention and closing are decided at the board, each after it says what stands', async (t) => {
  const { pick, back, wishes } = standing(async () => ({ location: true, abroad: false, retentionDays: 0 }))
  await pick('My consent')
  await pick('No', /places of pictures be kept\? \(now: Yes\)/)
  await pick('Yes', /other countries\? \(now: No\)/)
  await pick('How long things are kept')
  await pick('365 days, then deleted', /now: For ever/)
  await pick('Close my account')
  await pick('No', /deleted for ever/)
  await pick('Close my account')
  await pick('Yes, delete everything and close it')
  await back()
  t.same(wishes, [
    { kind: 'consent', location: false, abroad: true },
    { kind: 'retention', days: 365 },
    { kind: 'close' },
  ])
})

t.test('D8: consent is withdrawn without a line, too', async (t) => {
  const { pick, back, wishes, told } = standing(async () => {
    throw new Problem('session.required')
  })
  await pick('My consent')
  await pick('No', /now: not known without a line/)
  await pick('No', /other countries/)
  await back()
  t.same(wishes, [{ kind: 'consent', location: false, abroad: false }])
  t.same(told, [])
})

t.test('R4 D8: whether authors are told is asked apart, and says what stands', async (t) => {
  const { pick, back, wishes } = standing(async () => ({ location: true, abroad: false, retentionDays: 0 }))
  await pick('Telling authors')
  await pick('Yes', /without naming you\? \(now: No\)/)
  await pick('Telling authors')
  await pick('No', /without naming you\? \(now: Yes\)/)
  await back()
  t.same(wishes, [], 'placement is not told')
})
