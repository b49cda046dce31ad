/** `azukari-gateway servers add`: data servers on hosts of their own are let in (D6). */

import type { Values } from '@azukari/protocol/adapters/command'
import { integer, text } from '@azukari/protocol/adapters/command-line'
import { Problem } from '@azukari/protocol/problem'
import { slugPattern } from '@azukari/protocol/slug'
import { regions } from '../geography.ts'
import type { OperatorCommand } from '../operator-api/roles.ts'
import { type AwaitedServer, newServerClaim } from '../registry/server-claims.ts'
import { checkServerEntry, type ServerEntry, SiteFolder } from '../site-folder.ts'
import { folder, site } from './site-options.ts'

export const serverCommands: Record<string, OperatorCommand> = {
  'servers add': {
    what: 'Lets a data server join from a host of its own: makes its one-time claim, and says what to type there.',
    role: 'fleet',
    positionals: 'ID',
    options: {
      folder,
      site,
      region: { type: 'string', what: 'where it stands: ISO 3166-2, such as JP-01', required: true },
      latitude: { type: 'string', what: 'degrees north; else the region’s' },
      longitude: { type: 'string', what: 'degrees east; else the region’s' },
      name: { type: 'string', what: 'what people call it; else its id' },
      domain: { type: 'string', what: 'what fails together with it: a building, a power feed; else its id' },
      rate: {
        type: 'string',
        what: 'a yearly risk, PERIL=PROBABILITY,VULNERABILITY,SOURCE, such as "earthquake=0.01,0.6,J-SHIS 2024"; may be repeated',
        multiple: true,
      },
      hours: { type: 'string', what: 'how long the claim can be used', default: '24' },
    },
    async carryOut({ site: { folder: path, registry, ports } }, values, [id]) {
      if (!id || !new RegExp(slugPattern).test(id))
        throw new Problem('config.invalid', 'which server? Its id has a–z, 0–9 and hyphens, at most 32')
      const known = (await new SiteFolder(path, 'site', ports).servers()).find((server) => server.id === id)
      if (known) throw new Problem('config.invalid', `there is a server ${id} already, at ${known.url}`)
      const server = awaited(id, values)
      const claim = await newServerClaim(registry, ports, server, integer(values, 'hours', 1, 24 * 365) * 3_600_000)
      const lines = [
        `On the host of ${id}, with the gateway's address and its own:`,
        '',
        `  azukari-gateway data-server enrol --folder /var/lib/azukari --gateway https://GATEWAY:PEER_PORT --url https://${id.toUpperCase()}:9001 --claim ${claim}`,
        ...(server.rates.length > 0
          ? []
          : ['', 'No yearly risk is stated (--rate): until a feed warns, this place counts as perfectly safe.']),
      ]
      return { json: { claim, server: id }, text: lines.join('\n') }
    },
  },
}

/** @throws {Problem} `config.invalid` */
function awaited(id: string, values: Values): AwaitedServer {
  const region = text(values, 'region')
  const known = regions.get(region)
  if (!known) throw new Problem('config.invalid', `--region ${region} is not known: ISO 3166-2, such as JP-01`)
  const degrees = (name: 'latitude' | 'longitude') => (values[name] === undefined ? known[name] : Number(values[name]))
  const entry = {
    id,
    name: values['name'] === undefined ? id : text(values, 'name'),
    region,
    latitude: degrees('latitude'),
    longitude: degrees('longitude'),
    domain: values['domain'] === undefined ? id : text(values, 'domain'),
    rates: ((values['rate'] as string[] | undefined) ?? []).map(rateOf),
  }
  // What the server itself will say is not known yet.
  const {
    url: _,
    key: __,
    capacityBytes: ___,
    ...checked
  } = checkServerEntry({
    ...entry,
    url: 'https://unknown',
    key: '00',
    capacityBytes: 1,
  })
  return checked
}

/** @throws {Problem} `config.invalid` */
function rateOf(written: string): ServerEntry['rates'][number] {
  const [, peril = '', probability, vulnerability, source = ''] =
    /^([a-z]+)=([\d.]+),([\d.]+),(.+)$/.exec(written) ?? []
  if (!peril)
    throw new Problem('config.invalid', `--rate ${written}: it must be PERIL=PROBABILITY,VULNERABILITY,SOURCE`)
  const rate = { peril, probability: Number(probability), vulnerability: Number(vulnerability), source: source.trim() }
  return rate as ServerEntry['rates'][number]
}
