import t from 'tap'
import { placementSettings } from './settings.ts'

const read = (settings: unknown) => placementSettings(new TextEncoder().encode(JSON.stringify(settings)))

t.test(
  'S5, S11, S12, S16: placement.json says how far apart, how fair and how careful; defaults stand for the rest',
  (t) => {
    t.same(placementSettings(undefined), { rules: {}, audits: {}, impostors: {} })
    t.same(
      read({
        places: { apartKm: 500, homeKm: [50, 100, 200, 400], share: [0.3, 0.5, 0.5, 1], dwellDays: 2 },
        impostors: { shutOff: 3 },
        audits: { openedDays: 30 },
        graceDays: 14,
      }),
      {
        rules: {
          apartKm: [500, 500, 500, 500],
          homeKm: [50, 100, 200, 400],
          share: { 0: 0.3, 1: 0.5, 2: 0.5, 3: 1 },
          dwellMs: 172_800_000,
        },
        audits: { openedAgeMs: 2_592_000_000 },
        impostors: { shutOff: 3 },
        graceMs: 1_209_600_000,
      },
    )
    t.end()
  },
)

t.test('S16: settings that are none are refused, saying where', (t) => {
  for (const [settings, where] of [
    [{ places: { share: [0.5, 0.4, 0.8, 1] } }, 'share'],
    [{ places: { apartKm: [1, 2] } }, 'apartKm'],
    [{ places: { apartKm: -1 } }, 'apartKm'],
    [{ impostors: { shutOff: 0 } }, 'shutOff'],
    [{ audit: {} }, 'audit'],
  ] as const)
    t.throws(() => read(settings), { code: 'config.invalid', message: new RegExp(where) })
  t.throws(() => placementSettings(new TextEncoder().encode('{')), { code: 'config.invalid' })
  t.end()
})
