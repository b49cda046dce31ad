/** How a board's parts are, and who is told (S17, D6). */
import { type Board, partProblem } from '@azukari/device/drivers'
import { NoticeDisplay } from '@azukari/device/notices'
import { PartWatch } from '@azukari/device/part-watch'
import { describe, Problem, type ProblemCode } from '@azukari/protocol/problem'
import t from 'tap'
import { quietLog } from '../log.ts'
import { SimClock } from '../world/clock.ts'
import { SimulatedDisplay, SimulatedMemory, SimulatedPrinter, SimulatedReader } from './index.ts'

/** A watch over a board on simulated time, and what it told. */
function watchOver(board: Board) {
  const clock = new SimClock()
  const told: ProblemCode[][] = []
  let news = 0
  const watch = new PartWatch({
    board,
    clock,
    onFaults: (faults) => told.push([...faults]),
    onNews: () => news++,
  })
  const stop = new AbortController()
  const running = watch.run(stop.signal)
  const pass = (ms: number) => clock.runUntil(clock.now() + ms)
  const states = () => Object.fromEntries(watch.report(clock.now()).map(({ part, state }) => [part, state]))
  return { clock, told, watch, stop, running, pass, states, news: () => news }
}

const attachable = <P extends object>(part: P, isReady: boolean) => Object.assign(part, { isReady })

t.test('S17: a part that goes is told once, with since when, and so is its return', async (t) => {
  const clock = new SimClock()
  const reader = attachable(new SimulatedReader({ clock }), true)
  const { told, watch, pass, states, stop, running, news, clock: own } = watchOver({ model: 'x', reader })
  await pass(60_000)
  t.same(told, [], 'all is well: nothing to tell')
  t.same(states(), { reader: 'present' })
  t.equal(news(), 1, 'the site is told that it is there')
  const goneMs = own.now()
  reader.isReady = false
  await pass(600)
  t.same(told, [['reader.absent']])
  await pass(60_000)
  t.equal(told.length, 1)
  const [said] = watch.report(own.now())
  t.match(said, { part: 'reader', state: 'absent', detail: 'reader.absent' })
  t.ok(said!.sinceMs! >= goneMs && said!.sinceMs! <= goneMs + 600, 'since when, in the site’s time')
  reader.isReady = true
  await pass(600)
  t.same(told.at(-1), [])
  t.same(states(), { reader: 'present' })
  stop.abort()
  await running
})

t.test('S17: a part that still greets is given time; one that never comes is told', async (t) => {
  const clock = new SimClock()
  const reader = attachable(new SimulatedReader({ clock }), false)
  const { told, pass, states, stop } = watchOver({ model: 'x', reader })
  await pass(4_000)
  t.same([told, states()], [[], { reader: 'unknown' }])
  await pass(2_000)
  t.same([told, states()], [[['reader.absent']], { reader: 'absent' }])
  stop.abort()
})

t.test('S17 D6: printers and memory are asked; what is wrong is asked about until it is right', async (t) => {
  const clock = new SimClock()
  const printer = new SimulatedPrinter({ clock })
  const memory = new SimulatedMemory()
  const { told, watch, pass, states, stop } = watchOver({ model: 'x', printer, memory })
  const never = new AbortController().signal
  await pass(600_000)
  t.same(states(), { printer: 'unknown', memory: 'unknown' }, 'nobody asked')
  await watch.ask(never)
  t.same(states(), { printer: 'present', memory: 'present' })
  printer.sheets = 0
  memory.eject()
  await watch.ask(never)
  t.same(states(), { printer: 'out-of-media', memory: 'absent' })
  t.same(told.at(-1), ['printer.out-of-paper', 'memory.absent'])
  printer.sheets = 10
  memory.insert()
  await pass(6_000)
  t.same(told.at(-1), [], 'found by itself')
  t.same(states(), { printer: 'present', memory: 'present' })
  memory.freeBytes = () => Promise.reject(new Problem('memory.unreadable', 'x'))
  printer.attributes = () => new Promise(() => undefined)
  const asking = watch.ask(never)
  await pass(6_000)
  await asking
  t.same(states(), { printer: 'absent', memory: 'failed' }, 'a printer that never answers is not waited for')
  t.same(told.at(-1), ['printer.offline', 'memory.unreadable'])
  printer.attributes = () => Promise.reject(partProblem('printer', 'busy'))
  const before = told.length
  await pass(20_000)
  t.equal(told.length, before, 'a printer that is busy says nothing new')
  stop.abort()
})

t.test('S17: a printer whose line is there and that does not answer stays away until it does', async (t) => {
  const clock = new SimClock()
  const printer = attachable(new SimulatedPrinter({ clock }), true)
  const { told, watch, pass, stop } = watchOver({ model: 'x', printer })
  const answers = printer.attributes.bind(printer)
  printer.attributes = () => new Promise(() => undefined)
  await pass(1_000)
  const asking = watch.ask(new AbortController().signal)
  await pass(60_000)
  await asking
  t.same(told, [['printer.offline']], 'told once')
  printer.attributes = answers
  await pass(12_000)
  t.same(told, [['printer.offline'], []])
  printer.isReady = false
  await pass(1_000)
  t.same(told.at(-1), ['printer.offline'], 'pulled out, it is told at once')
  printer.isReady = true
  await pass(1_000)
  t.same(told.at(-1), [])
  stop.abort()
})

t.test(
  'S17: a notice stands above what the app shows, in the person’s language, and leaves it as it was',
  async (t) => {
    const inner = new SimulatedDisplay({ rows: 4 })
    const display = new NoticeDisplay(inner, quietLog)
    t.equal(display.rows, 4)
    display.notify([])
    t.equal(inner.current, undefined, 'nothing to say, nothing shown')
    await display.show({ lines: ['Welcome', 'Hanako'], tone: 'calm' })
    display.notify([describe('reader.absent', 'ja')])
    t.match(inner.current, {
      lines: ['カードリーダーが外れています', 'つなぎ直してください。自動的に再開します。', 'Welcome', 'Hanako'],
      tone: 'problem',
    })
    await display.show({ lines: ['Kept in two places'], tone: 'good' })
    t.match(inner.current, {
      lines: ['カードリーダーが外れています', /つなぎ直/, 'Kept in two places'],
      tone: 'problem',
    })
    display.notify([])
    t.match(inner.current, { lines: ['Kept in two places'], tone: 'good' })
  },
)
