import { PushedClock } from '@azukari/device/conformance/pushed-clock'
import t from 'tap'
import { SettledPress, settleMs } from './settled-press.ts'

t.test('S15 S17: a contact that bounces when it is pressed and let go is one press', (t) => {
  const clock = new PushedClock()
  const key = new SettledPress(clock)
  let presses = 0
  const bounce = () => {
    for (let times = 0; times < 4; times++) {
      if (key.closed()) presses++
      clock.push(9)
      key.opened()
      clock.push(9)
    }
  }
  for (let wanted = 1; wanted <= 6; wanted++) {
    bounce()
    if (key.closed()) presses++
    clock.push(60)
    key.opened()
    clock.push(9)
    bounce()
    t.equal(presses, wanted)
    clock.push(settleMs)
  }
  t.end()
})

t.test('S15 S17: quick presses are each one', (t) => {
  const clock = new PushedClock()
  const key = new SettledPress(clock)
  let presses = 0
  for (let times = 0; times < 10; times++) {
    if (key.closed()) presses++
    clock.push(settleMs)
    key.opened()
    clock.push(settleMs)
  }
  t.equal(presses, 10)
  t.end()
})
