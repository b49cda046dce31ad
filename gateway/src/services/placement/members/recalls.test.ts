import { systemClock } from '@azukari/protocol/adapters/clock'
import t from 'tap'
import { Recalls } from './recalls.ts'

const [member, other] = [new Uint8Array(16).fill(1), new Uint8Array(16).fill(2)]

t.test('S12: a card that was called up is waited for until it answers, leaves, or placement stops', async (t) => {
  const recalls = new Recalls(systemClock)
  const stop = new AbortController()
  const waits = (who = member, device = 'terminal') => recalls.wait(who, device, stop.signal)
  const [proven, elsewhere] = [waits(), waits(other)]
  recalls.answered(member, 'camera', false)
  recalls.answered(member, 'terminal', true)
  t.equal(await proven, true)
  const rejected = waits()
  recalls.answered(member, 'terminal', false)
  t.equal(await rejected, false)
  stop.abort()
  t.equal(await elsewhere, false, 'whoever waits is let go')
  t.equal(await waits(), false, 'and whoever begins to wait after that does not wait at all')
})
