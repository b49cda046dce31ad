import { runWhole, Violation } from './whole.ts'

const [from, to] = process.argv.slice(2).map(Number)
for (let seed = from!; seed <= to!; seed++) {
  const t0 = performance.now()
  try {
    const r = await runWhole({ seed })
    console.log(seed, Math.round(performance.now() - t0), JSON.stringify(r.money), r.kept, r.digest.slice(0, 8))
  } catch (e) {
    if (e instanceof Violation) console.log('FAIL', Math.round(performance.now() - t0), e.message.slice(0, 700))
    else console.log(e)
  }
}
