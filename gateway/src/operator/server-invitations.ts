/** `azukari-gateway server invite`: data servers on hosts of their own are let in (D6). */
import { integer } from '@azukari/protocol/adapters/command-line'
import { Problem } from '@azukari/protocol/problem'
import { slugPattern } from '@azukari/protocol/slug'
import type { OperatorCommand } from '../operator-api/roles.ts'
import { type AwaitedServer, newServerClaim } from '../registry/server-claims.ts'
import { SiteFolder } from '../site-folder.ts'
import { placeOf, placeOptions } from './server-commands.ts'
import { folder, site } from './site-options.ts'

export const serverInvitations: Record<string, OperatorCommand> = {
  'server invite': {
    what: 'Lets a data server join from a host of its own: makes its one-time claim, and says what to type there.',
    role: 'placement',
    positionals: 'ID',
    options: {
      folder,
      site,
      ...placeOptions,
      hours: { type: 'string', what: 'how long the claim can be used', default: '24' },
    },
    async carryOut({ site: { folder: path, registry, ports } }, values, [id]) {
      if (!id || !new RegExp(slugPattern).test(id))
        throw new Problem('config.invalid', 'which server? Its id has a–z, 0–9 and hyphens, at most 32')
      const known = (await new SiteFolder(path, 'site', ports).servers()).find((server) => server.id === id)
      if (known) throw new Problem('config.invalid', `there is a server ${id} already, at ${known.url}`)
      const server: AwaitedServer = placeOf(id, values)
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
