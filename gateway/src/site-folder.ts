/**
 * A site's folder: where a gateway and its services keep what they must not lose. Every secret is a file that only the
 * owner reads; what is made on first use is made once.
 *
 *   site.json            name of the site, and what it was made with
 *   gateway.key          the gateway's identity; site.pub is its public half, for data servers and services elsewhere
 *   keys.cose            the newest key directory, signed by it
 *   gateway.db, buffer/  registry, inbox and receive buffer
 *   operators.db         accounts of operators and the log of their acts; operator-log.head is its signed head
 *   operator.sock        where operators’ commands are answered while the gateway runs
 *   tls/                 the site's own authority and certificates (mutual TLS between processes)
 *   release.key, .pub    signs releases of the devices’ runtime; the key may be kept elsewhere
 *   releases/{version}/  releases that devices may be upgraded to; gateway-releases/ those of the gateway
 *   slots/               versions that the gateway upgraded itself to, and copies of the databases from before
 *   servers.json         data servers that placement may use
 *   store.json           where services keep their databases, when that is PostgreSQL (may be absent)
 *   hazards.json         feeds of hazards and parameters of the risk formulas (may be absent)
 *   hazards/             hazard documents laid in by operators, taken at once
 *   placement/           keystore.cose, passphrase (unless given), placement.db, public.cose
 *   data-servers/{id}/   identity.key, disks
 */
import type { KeyObject } from 'node:crypto'
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { Bytes, checker, Region, Slug, type Static, Type } from '@azukari/protocol/contract'
import { makeDurableDirectory } from '@azukari/protocol/durable-directory'
import { parseCoseKey } from '@azukari/protocol/keys'
import type { Clock, Files, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { MachinePorts } from './host/machine-ports.ts'
import { Keyring } from './pki/keyring.ts'

/** Makes the ports of one process. */
export type MachineOf = (folder: SiteFolder, ports: SitePorts) => MachinePorts

export interface SitePorts {
  clock: Clock
  random: Random
  files: Files
  /** In place of the real machine's databases and network: for simulations. */
  machine?: MachineOf
}

const Hex = Type.String({ pattern: '^([0-9a-f]{2})+$', maxLength: 4096 })
const Peril = Type.Union(
  (['earthquake', 'tsunami', 'flood', 'storm', 'volcano', 'fire', 'outage'] as const).map((peril) =>
    Type.Literal(peril),
  ),
)

/** One data server as the site's `servers.json` names it. */
export const ServerEntry = Type.Object({
  id: Slug,
  name: Type.String({ minLength: 1, maxLength: 100 }),
  region: Region,
  latitude: Type.Number({ minimum: -90, maximum: 90 }),
  longitude: Type.Number({ minimum: -180, maximum: 180 }),
  domain: Type.String({ minLength: 1, maxLength: 64, description: 'what fails together with it' }),
  url: Type.String({ pattern: '^https://', maxLength: 200 }),
  key: Type.Unsafe<string>({ ...Hex, description: 'COSE_Key of its identity, hex' }),
  capacityBytes: Type.Integer({ minimum: 1 }),
  rates: Type.Array(
    Type.Object({
      peril: Peril,
      probability: Type.Number({ minimum: 0, maximum: 1 }),
      vulnerability: Type.Number({ minimum: 0, maximum: 1 }),
      source: Type.String({ maxLength: 200 }),
    }),
    { maxItems: 16 },
  ),
  ground: Type.Optional(
    Type.Object(
      {
        amplification: Type.Optional(
          Type.Number({ minimum: 0.3, maximum: 5, description: 'of peak velocity, against Vs 400 m/s (J-SHIS)' }),
        ),
        elevationM: Type.Optional(Type.Number({ minimum: -500, maximum: 9_000, description: 'above the sea' })),
        coastKm: Type.Optional(Type.Number({ minimum: 0, maximum: 5_000, description: 'distance to the sea' })),
        structure: Type.Optional(
          Type.Union([Type.Literal('i'), Type.Literal('ro')], { description: 'class of earthquake insurance' }),
        ),
      },
      { additionalProperties: false },
    ),
  ),
})
export type ServerEntry = Static<typeof ServerEntry>

const checkServers = checker(Type.Array(ServerEntry, { maxItems: 1000 }), 'servers.json')
const checkEntry = checker(ServerEntry, 'the data server')

/** One entry, before it is written. @throws {Problem} `config.invalid` naming what does not fit */
export function checkServerEntry(entry: unknown): ServerEntry {
  try {
    return checkEntry(entry)
  } catch (cause) {
    throw new Problem('config.invalid', cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

const checkPublic = checker(Type.Object({ key: Bytes(32, 600), agreement: Bytes(32, 600) }), 'public.cose')

/** COSE_Key with which the key directory is judged, and the newest directory. */
export const siteKeyFile = 'site.pub'
export const directoryFile = 'keys.cose'

/** The public keys with which a service began, for devices, cards and data servers. */
export interface PublicKeys {
  key: Uint8Array
  agreement: Uint8Array
}

export class SiteFolder {
  readonly path: string
  readonly keyring: Keyring
  readonly #files: Files

  constructor(path: string, site: string, { clock, random, files }: SitePorts) {
    this.path = path
    this.#files = files
    this.keyring = new Keyring({ folder: `${path}/tls`, site, files, clock, random })
  }

  /** The data servers that services may use; none when there is no such file. @throws {Problem} `config.invalid` */
  async servers(): Promise<ServerEntry[]> {
    const bytes = await this.read('servers.json')
    if (!bytes) return []
    try {
      return checkServers(JSON.parse(new TextDecoder().decode(bytes)))
    } catch (cause) {
      throw new Problem(
        'config.invalid',
        `${this.path}/servers.json: ${cause instanceof Error ? cause.message : cause}`,
        { cause },
      )
    }
  }

  /** What `hazards.json` holds, unchecked; undefined when there is none. @throws {Problem} `config.invalid` */
  async hazards(): Promise<unknown> {
    const bytes = await this.read('hazards.json')
    if (!bytes) return undefined
    try {
      return JSON.parse(new TextDecoder().decode(bytes))
    } catch (cause) {
      throw new Problem(
        'config.invalid',
        `${this.path}/hazards.json: ${cause instanceof Error ? cause.message : cause}`,
        {
          cause,
        },
      )
    }
  }

  /** Makes the folders of files that are opened by their paths in the site's folder. */
  async makeFoldersOf(paths: readonly string[]): Promise<void> {
    for (const path of paths) {
      const full = `${this.path}/${path}`
      await makeDurableDirectory(this.#files, full.slice(0, full.lastIndexOf('/')))
    }
  }

  async writeServers(servers: readonly ServerEntry[]): Promise<void> {
    await this.write(
      'servers.json',
      new TextEncoder().encode(`${JSON.stringify(checkServers([...servers]), null, 2)}\n`),
    )
  }

  /** @throws {Problem} `config.invalid` before the service has any */
  async publicKeys(service: string): Promise<PublicKeys> {
    const bytes = await this.read(`${service}/public.cose`)
    if (!bytes) throw new Problem('config.invalid', `${this.path} has no ${service} yet: run azukari-gateway init`)
    return checkPublic(decode(bytes))
  }

  async writePublicKeys(service: string, { key, agreement }: PublicKeys): Promise<void> {
    await this.write(`${service}/public.cose`, encodeDeterministic({ key, agreement }))
  }

  async readKey(name: string): Promise<KeyObject | undefined> {
    const bytes = await this.read(name)
    return bytes && parseCoseKey(bytes)
  }

  /** A file's bytes; undefined when there is none. */
  async read(name: string): Promise<Uint8Array | undefined> {
    try {
      const file = await this.#files.open(`${this.path}/${name}`, 'read')
      try {
        return await file.read(0, await file.size())
      } finally {
        await file.close()
      }
    } catch (error) {
      if (isProblem(error, 'object.unknown')) return undefined
      throw error
    }
  }

  /** Whole or not at all, durable when it resolves. */
  async write(name: string, bytes: Uint8Array): Promise<void> {
    const path = `${this.path}/${name}`
    const directory = path.slice(0, path.lastIndexOf('/'))
    await this.makeFoldersOf([name])
    const file = await this.#files.open(`${path}.new`, 'create')
    try {
      await file.truncate(0)
      await file.write(0, bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await this.#files.rename(`${path}.new`, path)
    await this.#files.syncDirectory(directory)
  }

  /** Absent is not an error. */
  async remove(name: string): Promise<void> {
    await this.#files.remove(`${this.path}/${name}`)
  }
}
