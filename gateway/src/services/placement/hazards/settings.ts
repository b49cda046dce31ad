/** `hazards.json` of a site's folder: where hazards are heard of, and parameters that differ from the standard ones. */
import { type Static, Type } from '@azukari/protocol/contract'
import { Problem } from '@azukari/protocol/problem'
import { Value } from 'typebox/value'
import { type Format, formats } from './read.ts'
import { HazardRules, standardRules } from './rules.ts'

export const FeedSettings = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z0-9-]{1,32}$', description: 'short name: a–z, digits, hyphens' }),
    format: Type.Optional(
      Type.Unsafe<Format>(
        Type.Union(
          Object.keys(formats).map((name) => Type.Literal(name)),
          { description: 'usgs, gdacs, jma, cap, track or jshis; told from the text when it is not given' },
        ),
      ),
    ),
    url: Type.Optional(
      Type.String({ pattern: '^https?://', maxLength: 2_000, description: 'polled; an Atom index is followed' }),
    ),
    mayRedirectTo: Type.Optional(
      Type.Array(Type.String({ pattern: '^[^\\s/@]{1,255}:\\d{1,5}$' }), {
        maxItems: 10,
        description: 'host:port on a network of your own that the url may redirect to; public ones need not be named',
      }),
    ),
    path: Type.Optional(
      Type.String({ minLength: 1, maxLength: 1_000, description: 'file or folder that is looked at' }),
    ),
    everySeconds: Type.Integer({ minimum: 1, maximum: 86_400, default: 60, description: 'how often' }),
    staleAfterSeconds: Type.Integer({
      minimum: 60,
      maximum: 31_536_000,
      default: 1_800,
      description: 'without a good answer for this long a polled feed is silent: reported, and its hazards are held',
    }),
    trust: Type.Number({ minimum: 0, maximum: 1, default: 1, description: 'its probabilities are multiplied by this' }),
  },
  { additionalProperties: false },
)
export type FeedSettings = Static<typeof FeedSettings>

export interface HazardSettings {
  feeds: FeedSettings[]
  rules: HazardRules
}

/** Documents laid into this folder of the site are taken at once: from an operator, a script, another program. */
export const operatorFeed = 'operator'

/**
 * Settings from what `hazards.json` holds (undefined: there is none).
 * @throws {Problem} `config.invalid` that names the place of the fault
 */
export function hazardSettings(file: unknown): HazardSettings {
  if (file === undefined) return { feeds: [], rules: standardRules }
  if (typeof file !== 'object' || file === null || Array.isArray(file)) throw fault('it must hold one object')
  const { feeds = [], rules = {}, ...rest } = file as { feeds?: unknown; rules?: unknown }
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined) throw fault(`${JSON.stringify(unknown)} is no setting; feeds and rules are`)
  if (!Array.isArray(feeds) || feeds.length > 100) throw fault('feeds must be a list of at most 100')
  const names = new Set<string>([operatorFeed])
  const checked = feeds.map((feed: unknown, i) => {
    const whole = Value.Default(FeedSettings, feed) as FeedSettings
    check(FeedSettings, whole, `feeds/${i}`)
    if (names.has(whole.name)) throw fault(`feeds/${i}: the name ${whole.name} is taken`)
    names.add(whole.name)
    if ((whole.url === undefined) === (whole.path === undefined)) throw fault(`feeds/${i}: give either url or path`)
    if (whole.url !== undefined) address(whole.url, i)
    return whole
  })
  const whole = merged(standardRules, rules, 'rules') as HazardRules
  check(HazardRules, whole, 'rules')
  return { feeds: checked, rules: whole }
}

/** `host:port` of every address that the operator named in a feed's settings. */
export function namedHosts({ url, mayRedirectTo = [] }: FeedSettings): string[] {
  const parsed = url === undefined ? null : URL.parse(url)
  if (!parsed) return [...mayRedirectTo]
  const port = parsed.port || (parsed.protocol === 'https:' ? '443' : '80')
  return [`${parsed.hostname}:${port}`, ...mayRedirectTo]
}

/** Anyone on the way could forge a disaster over an open line. */
function address(text: string, i: number): void {
  const url = URL.parse(text)
  if (!url) throw fault(`feeds/${i}/url: ${text} is no URL`)
  if (url.protocol === 'http:' && !['localhost', '127.0.0.1', '[::1]'].includes(url.hostname))
    throw fault(`feeds/${i}/url: beyond this machine only https can be trusted`)
}

function merged(standard: unknown, given: unknown, at: string): unknown {
  if (given === undefined) return standard
  if (typeof standard !== 'object' || standard === null) return given
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw fault(`${at} must be an object`)
  for (const name of Object.keys(given))
    if (!(name in standard)) throw fault(`${at}/${name} is no setting; ${Object.keys(standard).join(', ')} are`)
  return Object.fromEntries(
    Object.entries(standard).map(([name, value]) => [
      name,
      merged(value, (given as Record<string, unknown>)[name], `${at}/${name}`),
    ]),
  )
}

function check(schema: typeof FeedSettings | typeof HazardRules, value: unknown, at: string): void {
  if (Value.Check(schema, value)) return
  const [first] = Value.Errors(schema, value)
  throw fault(`${at}${first?.instancePath ?? ''} ${first?.message ?? 'does not fit'}`)
}

function fault(what: string): Problem {
  return new Problem('config.invalid', `hazards.json: ${what}`)
}
