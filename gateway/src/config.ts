/**
 * The gateway's settings: flags before environment (`AZUKARI_…`) before the file `gateway.json` of the site's folder
 * before what stands here. One schema checks and documents them all (D6).
 */
import { type Static, Type } from '@azukari/protocol/contract'
import { Problem } from '@azukari/protocol/problem'
import { Value } from 'typebox/value'
import type { Addresses } from './host/apart.ts'
import { whatApart } from './host/apart-options.ts'
import { services } from './services/index.ts'

const whole = (minimum: number, maximum: number, standard: number, description: string) =>
  Type.Integer({ minimum, maximum, default: standard, description })

export const GatewayConfig = Type.Object(
  {
    site: Type.String({
      pattern: '^[a-z0-9-]{1,32}$',
      default: 'site',
      description: 'the site’s name: a–z, digits, hyphens',
    }),
    host: Type.String({
      minLength: 1,
      maxLength: 255,
      default: '127.0.0.1',
      description: 'address on which devices connect',
    }),
    port: whole(0, 65_535, 1883, 'MQTT port; 0 = any free one'),
    insecure: Type.Boolean({ default: false, description: 'allow an open line beyond loopback, behind a TLS proxy' }),
    tlsKey: Type.Optional(Type.String({ description: 'PEM file of the MQTT listener’s key' })),
    tlsCert: Type.Optional(Type.String({ description: 'PEM file of its certificate' })),
    broker: Type.Optional(
      Type.String({ pattern: '^mqtts?://', description: 'URL of an MQTT broker in place of the embedded one' }),
    ),
    brokerUser: Type.String({
      default: 'azukari-gateway',
      description: 'the gateway’s user there; the password is AZUKARI_BROKER_PASSWORD',
    }),
    brokerCa: Type.Optional(Type.String({ description: 'PEM file of that broker’s CA' })),
    peerPort: whole(
      -1,
      65_535,
      -1,
      'port for other processes: services apart read the receive buffer, data servers of other hosts join and renew; 0 = any free one, -1 = none but for services apart',
    ),
    healthPort: whole(
      -1,
      65_535,
      -1,
      `loopback port of ${['/healthz', '/metrics', ...services.flatMap(({ pages = [] }) => pages)].join(', ')}; 0 = any free one, -1 = none`,
    ),
    httpsPort: whole(
      -1,
      65_535,
      -1,
      'port on which operators of other machines are answered, by HTTPS with a certificate of the site’s authority; 0 = any free one, -1 = none',
    ),
    httpsHost: Type.String({ minLength: 1, maxLength: 255, default: '127.0.0.1', description: 'its address' }),
    enrolPort: whole(
      -1,
      65_535,
      -1,
      'port of the page on which people apply for membership; 0 = any free one, -1 = none',
    ),
    enrolHost: Type.String({
      minLength: 1,
      maxLength: 255,
      default: '127.0.0.1',
      description: 'its address; beyond loopback it needs tlsKey and tlsCert, or insecure behind a TLS proxy',
    }),
    enrolUrl: Type.Optional(
      Type.String({
        pattern: '^https?://[^/]+$',
        description: 'under which people reach it, when a proxy stands before it',
      }),
    ),
    homeAssistant: Type.Boolean({
      default: false,
      description: 'publish devices and site for Home Assistant (MQTT discovery)',
    }),
    homeAssistantPrefix: Type.String({
      pattern: '^(?!v1$|azukari$)[A-Za-z0-9_-]{1,32}$',
      default: 'homeassistant',
      description: 'its discovery prefix',
    }),
    senml: Type.Union(
      ['none', 'json', 'cbor', 'both'].map((format) => Type.Literal(format)),
      { default: 'none', description: 'publish SenML telemetry (RFC 8428): none, json, cbor or both' },
    ),
    telemetrySeconds: whole(5, 86_400, 60, 'seconds between telemetry'),
    log: Type.Union(
      ['debug', 'info', 'warn', 'error', 'silent'].map((level) => Type.Literal(level)),
      { default: 'info', description: 'what is logged: debug, info, warn, error or silent' },
    ),
    connections: whole(1, 1_000_000, 20_000, 'devices connected at once'),
    readers: whole(1, 10_000, 32, 'readers of telemetry connected at once'),
    strangers: whole(
      1,
      1_000_000,
      2_000,
      'connections at once that have not said who they are; beyond it the oldest goes',
    ),
    strangersPerAddress: whole(1, 1_000_000, 1_000, 'of these from one address; behind a proxy as many as strangers'),
    claimants: whole(1, 100_000, 256, 'devices at once that are being enrolled; beyond it the oldest goes'),
    claimantsPerAddress: whole(1, 100_000, 128, 'of these from one address; behind a proxy as many as claimants'),
    subscriptions: whole(4, 1_000, 32, 'MQTT filters of one connection'),
    waitingMb: whole(1, 1_000_000, 512, 'MB that wait for all devices that read slowly'),
    messagesPerSecond: whole(1, 1_000_000, 2_000, 'messages per second of one device'),
    deviceRequests: whole(1, 16_384, 256, 'requests under way of one device'),
    requestMb: whole(1, 100_000, 256, 'MB of the requests under way of all devices'),
    bufferMb: whole(1, 100_000_000, 65_536, 'receive buffer, MB, over all devices'),
    deviceMb: whole(1, 100_000_000, 16_384, 'receive buffer, MB, of one device; at most half of it in any case'),
    deviceTransfers: whole(1, 100_000, 64, 'transfers of one device at once'),
    unsentMinutes: whole(1, 20_160, 60, 'minutes after which an announced transfer that does not come is given up'),
    idleHours: whole(1, 336, 72, 'hours after which a begun transfer that does not go on is given up'),
  },
  { additionalProperties: false },
)
export type GatewayConfig = Static<typeof GatewayConfig>

/** Where services run that run as processes of their own, by their names. */
const apartSettings = Object.fromEntries(
  services.map(({ name }) => [
    name,
    Type.Optional(Type.String({ pattern: '^https://', description: whatApart(name) })),
  ]),
)

type Name = keyof GatewayConfig
interface Setting {
  type?: string
  default?: unknown
  description?: string
  minimum?: number
  maximum?: number
  pattern?: string
  anyOf?: { const: string }[]
}
const schemas = { ...GatewayConfig.properties, ...apartSettings }
const settings = schemas as unknown as Record<Name, Setting>

export const configNames = Object.keys(settings) as Name[]

/** `tlsKey` as a flag: `tls-key`. */
function flagOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** The options of a command that takes settings; without defaults, which are the file's to give. */
export function configOptions(): Record<string, { type: 'string' | 'boolean'; what: string }> {
  return Object.fromEntries(
    configNames.map((name) => {
      const { type, description = '', default: standard } = settings[name]
      const what = standard === undefined || type === 'boolean' ? description : `${description} (${standard})`
      return [flagOf(name), { type: type === 'boolean' ? ('boolean' as const) : ('string' as const), what }]
    }),
  )
}

/**
 * Puts settings together.
 * @param file what `gateway.json` holds, parsed; @param given flags and environment, by flag name, as text
 * @throws {Problem} `config.invalid` that names the setting, where it comes from, its value and what is allowed
 */
export function loadConfig(file: unknown, given: Readonly<Record<string, unknown>>): GatewayConfig {
  if (file !== undefined && (typeof file !== 'object' || file === null || Array.isArray(file)))
    throw new Problem('config.invalid', 'gateway.json must hold one object')
  const fromFile = (file ?? {}) as Record<string, unknown>
  for (const key of Object.keys(fromFile)) if (!(key in settings)) throw new Problem('config.invalid', unknownKey(key))
  const config: Record<string, unknown> = {}
  for (const name of configNames) {
    const flag = flagOf(name)
    const asGiven = given[flag]
    const [value, from] =
      asGiven !== undefined
        ? [parsed(name, asGiven), `--${flag}`]
        : fromFile[name] !== undefined
          ? [fromFile[name], `${name} of gateway.json`]
          : [settings[name].default, 'default']
    if (value === undefined) continue
    if (!Value.Check(schemas[name], value))
      throw new Problem(
        'config.invalid',
        `${from} is ${JSON.stringify(asGiven ?? value)}; it must be ${allowed(settings[name])} (${settings[name].description})`,
      )
    config[name] = value
  }
  if ((config['tlsKey'] === undefined) !== (config['tlsCert'] === undefined))
    throw new Problem('config.invalid', 'tlsKey and tlsCert go together: give both or neither')
  return config as GatewayConfig
}

/** The services that the settings place in processes of their own. @throws {Problem} `config.invalid` */
export function apartOf(config: Readonly<Record<string, unknown>>): Addresses {
  return Object.fromEntries(
    services.flatMap(({ name }) => {
      const given = config[name]
      return given === undefined ? [] : [[name, addresses(given, `--${name}`)]]
    }),
  )
}

/** A URL of the right kind. @throws {Problem} `config.invalid` */
export function address(value: unknown, protocol: RegExp, option: string): string {
  const url = URL.parse(String(value))
  if (!url || !protocol.test(url.protocol)) throw new Problem('config.invalid', `${option} ${value}: not such a URL`)
  return String(value)
}

/** Addresses of the processes of one service that may be named, most. */
const maxProcesses = 16

/** One address, or several with a comma between them. @throws {Problem} `config.invalid` */
export function addresses(value: unknown, option: string): string {
  const list = String(value).split(',')
  if (list.length > maxProcesses) throw new Problem('config.invalid', `${option} ${value}: at most ${maxProcesses}`)
  return list.map((one) => address(one, /^https:$/, option)).join(',')
}

/** Flags and environment are text; what does not parse is left as it is, for the check to refuse. */
function parsed(name: Name, value: unknown): unknown {
  const { type } = settings[name]
  if (typeof value !== 'string') return value
  if (type === 'integer') return /^-?\d+$/.test(value) ? Number(value) : value
  if (type === 'boolean')
    return value === 'true' || value === '1' ? true : value === 'false' || value === '0' ? false : value
  return value
}

function allowed({ type, minimum, maximum, pattern, anyOf }: Setting): string {
  if (anyOf) return `one of ${anyOf.map((one) => one.const).join(', ')}`
  if (type === 'integer') return `a whole number from ${minimum} to ${maximum}`
  if (type === 'boolean') return 'true or false'
  return pattern ? `text like ${pattern}` : 'text'
}

function unknownKey(key: string): string {
  const near = configNames.find((name) => name.toLowerCase() === key.toLowerCase().replaceAll(/[-_]/g, ''))
  return `gateway.json has ${JSON.stringify(key)}, which is no setting${near ? `; ${near} is` : `. Settings: ${configNames.join(', ')}`}`
}
