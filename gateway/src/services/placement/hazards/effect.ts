/** What hazards mean for one place, now: terms for its risk. Pure. */
import { distanceKm, type Position } from '../../../geography.ts'
import { loss, type RiskTerm } from '../risk/risk.ts'
import { inRing, toRingKm } from './area.ts'
import { cycloneTerms } from './cyclone.ts'
import type { Area, Coasts, Exceedance, Hazard } from './hazard.ts'
import { insuranceRate, insuranceSource } from './insurance-rates.ts'
import { normalCdf } from './normal.ts'
import type { Place } from './place.ts'
import { lossAtIntensity, quakeTerms } from './quake.ts'
import type { HazardRules } from './rules.ts'

/** Regions of Japan without a coast. */
const inland = new Set(['JP-09', 'JP-10', 'JP-11', 'JP-19', 'JP-20', 'JP-21', 'JP-25', 'JP-29'])

/** Terms of one hazard at one place; none when it is over or does not reach there. */
export function termsOf(hazard: Hazard, place: Place, nowMs: number, rules: HazardRules): RiskTerm[] {
  if (nowMs > hazard.untilMs) return []
  switch (hazard.shape.kind) {
    case 'quake':
      return quakeTerms(hazard, hazard.shape, place, nowMs, rules)
    case 'track':
      return cycloneTerms(hazard, hazard.shape, place, nowMs, rules)
    case 'coasts':
      return coastTerms(hazard, hazard.shape, place, nowMs, rules)
    case 'area':
      return areaTerms(hazard, hazard.shape, place, nowMs, rules)
    case 'exceedance':
      return []
  }
}

/**
 * The standing rates of a place: what its operator gives, and for earthquakes the greatest of that, seismic exceedance and
 * the insurers' rate. They are estimates of the same thing, so they do not add up, and none may lower another.
 */
export function standingTerms(
  given: readonly RiskTerm[],
  place: Place,
  exceedances: readonly Hazard[],
  rules: HazardRules,
): RiskTerm[] {
  const estimates: RiskTerm[] = []
  for (const { shape, title } of exceedances)
    if (shape.kind === 'exceedance' && inRing(place, shape.ring)) estimates.push(exceedanceTerm(shape, title, rules))
  const structure = place.ground.structure ?? rules.standing.structure
  const insured = insuranceRate(place.region, structure)
  if (insured !== undefined)
    estimates.push({
      peril: 'earthquake',
      probability: insured * rules.standing.insuredToLost,
      vulnerability: 1,
      source: `${insuranceSource}, class ${structure === 'i' ? 'イ' : 'ロ'}`,
      facts: { term: 'insured', region: place.region },
    })
  const greatest = estimates.reduce<RiskTerm | undefined>((a, b) => (a && loss(a) >= loss(b) ? a : b), undefined)
  const own = given.filter(({ peril }) => peril === 'earthquake').reduce((sum, term) => sum + loss(term), 0)
  if (!greatest || own >= loss(greatest)) return [...given]
  return [...given.filter(({ peril }) => peril !== 'earthquake'), greatest]
}

function exceedanceTerm({ rates }: Exceedance, title: string, { quake }: HazardRules): RiskTerm {
  let lost = 0
  for (const [i, { intensity, perYear }] of rates.entries()) {
    const next = rates[i + 1]
    // The last class is open upward; its middle is taken half a degree above its lower end.
    const middle = next ? (intensity + next.intensity) / 2 : intensity + 0.5
    lost += (perYear - (next?.perYear ?? 0)) * lossAtIntensity(middle, quake)
  }
  const probability = 1 - Math.exp(-(rates[0]?.perYear ?? 0))
  return {
    peril: 'earthquake',
    probability,
    vulnerability: probability > 0 ? Math.min(1, (1 - Math.exp(-lost)) / probability) : 0,
    source: `seismic exceedance: ${title}`,
    facts: { term: 'exceedance', title },
  }
}

function coastTerms(hazard: Hazard, { coasts }: Coasts, place: Place, nowMs: number, rules: HazardRules): RiskTerm[] {
  const { tsunami } = rules
  const { elevationM, coastKm } = place.ground
  const knownGround = elevationM !== undefined || coastKm !== undefined
  if (!knownGround && inland.has(place.region)) return []
  let worst: RiskTerm | undefined
  for (const { name, regions, heightM, arrivesMs } of coasts) {
    if (!regions.includes(place.region) || heightM < tsunami.leastHeightM) continue
    const depthM = heightM - (elevationM ?? 0) - (coastKm ?? 0) * tsunami.inlandM
    if (depthM <= 0) continue
    const vulnerability = normalCdf(Math.log(depthM / tsunami.lossDepthM) / tsunami.lossSpread)
    const probability = hazard.certainty * (knownGround ? 1 : tsunami.exposed)
    if (worst && worst.vulnerability >= vulnerability) continue
    worst = {
      peril: 'tsunami',
      probability,
      vulnerability,
      source: `tsunami warning: ${hazard.title}`,
      hazard: hazard.id,
      ...(arrivesMs !== undefined && arrivesMs > nowMs ? { arrivesMs } : {}),
      untilMs: hazard.untilMs,
      facts: {
        term: 'tsunami',
        title: hazard.title,
        coast: name,
        heightM,
        ...(elevationM === undefined ? {} : { elevationM }),
      },
    }
  }
  return worst ? [worst] : []
}

function areaTerms(hazard: Hazard, area: Area, place: Place, nowMs: number, rules: HazardRules): RiskTerm[] {
  const outsideKm = outside(area, place)
  if (outsideKm > 6 * rules.area.fringeKm) return []
  const probability = hazard.certainty * Math.exp(-outsideKm / rules.area.fringeKm)
  return [
    {
      peril: hazard.peril,
      probability,
      vulnerability: rules.area[area.severity],
      source: `alert: ${hazard.title}`,
      hazard: hazard.id,
      ...(hazard.fromMs > nowMs ? { arrivesMs: hazard.fromMs } : {}),
      untilMs: hazard.untilMs,
      facts: { term: 'area', title: hazard.title, severity: area.severity, outsideKm: Math.round(outsideKm) },
    },
  ]
}

/** How far a place lies outside an area, km; 0 within. */
function outside({ rings = [], circles = [], regions = [] }: Area, place: Place & Position): number {
  if (regions.includes(place.region) || regions.includes(place.region.split('-')[0]!)) return 0
  let least = Number.POSITIVE_INFINITY
  for (const circle of circles) least = Math.min(least, Math.max(0, distanceKm(circle, place) - circle.radiusKm))
  for (const ring of rings) least = Math.min(least, inRing(place, ring) ? 0 : toRingKm(place, ring))
  return least
}
