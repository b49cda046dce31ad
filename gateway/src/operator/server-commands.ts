/** `azukari-gateway server add` and `server list`: which data servers placement may use, in `servers.json`. */
import { type Command, integer, text, type Values } from '@azukari/protocol/adapters/command-line'
import { coseKey, parseCoseKey, publicOf } from '@azukari/protocol/keys'
import { Problem } from '@azukari/protocol/problem'
import { systemPorts } from '../adapters/system-ports.ts'
import { regions } from '../services/placement/geography.ts'
import { checkServerEntry, type ServerEntry, SiteFolder } from '../site-folder.ts'
import { loadSiteKey } from '../site-key.ts'
import { folder, site } from './site-options.ts'

const gigabyte = 1e9

/** What an operator says of the place where a server stands. */
export const placeOptions = {
  name: { type: 'string', what: 'what people call it; else its id' },
  region: { type: 'string', what: 'where it stands: ISO 3166-2, such as JP-01', required: true },
  latitude: { type: 'string', what: 'degrees; else the region’s' },
  longitude: { type: 'string', what: 'degrees; else the region’s' },
  domain: { type: 'string', what: 'what fails together with it: a building, a power feed; else its id' },
  rate: {
    type: 'string',
    what: 'yearly risk PERIL=PROBABILITY:VULNERABILITY:SOURCE, such as storm=0.02:0.002:assumed; may be repeated',
    multiple: true,
  },
} as const

export const serverCommands: Record<string, Command> = {
  'server add': {
    what: 'Names a data server in servers.json, so that placement uses it; the same id again changes it. One on a host of its own joins by server invite.',
    options: {
      folder,
      site,
      id: { type: 'string', what: 'its id, as of data-server --id', required: true },
      ...placeOptions,
      port: { type: 'string', what: 'its port on this host, as of data-server --port' },
      url: { type: 'string', what: 'https://HOST:PORT, when it is not on this host' },
      key: { type: 'string', what: 'its public COSE_Key in hex; else that of its folder here, made when it is new' },
      'capacity-gb': { type: 'string', what: 'how much it keeps', default: '10' },
    },
    async run(values) {
      const place = new SiteFolder(text(values, 'folder'), text(values, 'site'), systemPorts)
      // Only a site that was made has servers: a typing error in --folder makes none.
      await place.placementPublic()
      const entry = await entryOf(place, values)
      const others = (await place.servers()).filter(({ id }) => id !== entry.id)
      await place.writeServers([...others, entry])
      const count = others.length + 1
      return {
        json: { server: entry, servers: count },
        text: [
          `${entry.name} (${entry.region}, ${entry.url}) is one of ${count} data servers.`,
          ...(count < 2 ? ['At least two are needed, far from each other.'] : []),
          ...(entry.rates.length === 0
            ? ['It has no risks of its own yet: --rate, with where the number is from.']
            : []),
          'A gateway that runs takes it up within seconds.',
        ].join('\n'),
      }
    },
  },

  'server list': {
    what: 'Lists the data servers that servers.json names.',
    options: { folder, site },
    async run(values) {
      const list = await new SiteFolder(text(values, 'folder'), text(values, 'site'), systemPorts).servers()
      return {
        json: { servers: list },
        text: list.map(({ id, name, region, url }) => `${id}  ${name}  ${region}  ${url}`).join('\n') || 'none',
      }
    },
  },
}

async function entryOf(place: SiteFolder, values: Values): Promise<ServerEntry> {
  const id = text(values, 'id')
  const url = urlOf(values)
  const capacityBytes = integer(values, 'capacity-gb', 1, 1_000_000) * gigabyte
  return { ...placeOf(id, values), url, capacityBytes, key: await keyOf(place, id, values) }
}

/** The place of a server, as `placeOptions` give it. @throws {Problem} `config.invalid` with the place of the fault */
export function placeOf(id: string, values: Values): Omit<ServerEntry, 'url' | 'key' | 'capacityBytes'> {
  const region = text(values, 'region')
  const known = regions.get(region)
  if (!known) throw new Problem('config.invalid', `--region ${region} is not known: ISO 3166-2, such as JP-01`)
  const degrees = (name: 'latitude' | 'longitude') => (values[name] === undefined ? known[name] : Number(values[name]))
  // What only the server itself can say is put in for the check alone.
  const {
    url: _,
    key: __,
    capacityBytes: ___,
    ...checked
  } = checkServerEntry({
    id,
    name: values['name'] === undefined ? id : text(values, 'name'),
    region,
    latitude: degrees('latitude'),
    longitude: degrees('longitude'),
    domain: values['domain'] === undefined ? id : text(values, 'domain'),
    url: 'https://unknown',
    key: '00',
    capacityBytes: 1,
    rates: ((values['rate'] as string[] | undefined) ?? []).map(rateOf),
  })
  return checked
}

function urlOf(values: Values): string {
  if (values['port'] !== undefined) return `https://127.0.0.1:${integer(values, 'port', 1, 65_535)}`
  if (values['url'] === undefined) throw new Problem('config.invalid', 'where is it: --port on this host, or --url')
  const url = URL.parse(text(values, 'url'))
  if (url?.protocol !== 'https:') throw new Problem('config.invalid', `--url ${values['url']}: https://HOST:PORT`)
  return url.origin
}

async function keyOf(place: SiteFolder, id: string, values: Values): Promise<string> {
  if (values['key'] === undefined) {
    const path = `${place.path}/data-servers/${id}/identity.key`
    const own = await loadSiteKey(systemPorts.files, path, systemPorts.random)
    return Buffer.from(coseKey(publicOf(own))).toString('hex')
  }
  const bytes = Buffer.from(text(values, 'key'), 'hex')
  const key = (() => {
    try {
      return parseCoseKey(bytes)
    } catch (cause) {
      throw new Problem('config.invalid', '--key is no COSE_Key in hex', { cause })
    }
  })()
  if (key.type !== 'public') throw new Problem('config.invalid', '--key is a private key: it belongs on its host alone')
  return bytes.toString('hex')
}

function rateOf(given: string): ServerEntry['rates'][number] {
  const [, peril, probability, vulnerability, source] = /^([a-z]+)=([\d.]+):([\d.]+):(.{1,200})$/.exec(given) ?? []
  const terms = { probability: Number(probability), vulnerability: Number(vulnerability) }
  if (!peril || !source || !(terms.probability <= 1) || !(terms.vulnerability <= 1))
    throw new Problem('config.invalid', `--rate ${given}: PERIL=PROBABILITY:VULNERABILITY:SOURCE, both from 0 to 1`)
  // The kind of peril is checked with the rest, before anything is written.
  return { peril: peril as ServerEntry['rates'][number]['peril'], ...terms, source }
}
