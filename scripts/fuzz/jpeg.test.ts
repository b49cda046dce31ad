import t from 'tap'
import { run } from './jpeg.ts'

t.test('D8 S10: damaged files give a picture, a file without its place, or a coded problem', async (t) => {
  const { runs, outcomes } = await run(7, 2)
  t.ok(runs > 50, `${runs} files`)
  t.ok(outcomes['place sound'] && outcomes['decode sound'], 'some come through')
  t.ok(outcomes['place place.not-removable'] && outcomes['decode photo.corrupt'], 'some do not')
})
