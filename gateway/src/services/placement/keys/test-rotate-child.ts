/**
 * A process that replaces placement's keys in a site's folder and is killed before one of the writes that this takes, to files or databases:
 * `node test-rotate-child.ts FOLDER STEP`. It says on standard output how many writes there were when it got through.
 */
import { DatabaseSync, StatementSync } from 'node:sqlite'
import { InternalError } from '@azukari/protocol/problem'
import { openDatabase } from '../../../adapters/database.ts'
import { systemPorts } from '../../../adapters/system-ports.ts'
import { DirectoryIssuer } from '../../../key-directory/issuer.ts'
import { insideSource } from '../../../key-directory/sources.ts'
import { SiteFolder, type SitePorts } from '../../../site-folder.ts'
import { loadSiteKey } from '../../../site-key.ts'
import { silent } from '../../../test-contracts.ts'
import { openPlacement } from '../main.ts'

const [folder = '', step = ''] = process.argv.slice(2)
let steps = 0
let counting = false

/** Nothing is finished, nothing is closed. */
function beforeWrite(): void {
  if (counting && ++steps === Number(step)) process.kill(process.pid, 'SIGKILL')
}

/** Writes through the port for files. */
const files: SitePorts['files'] = new Proxy(systemPorts.files, {
  get: (target, name: keyof SitePorts['files']) => {
    if (name === 'rename' || name === 'remove' || name === 'syncDirectory')
      return (...given: never[]) => {
        beforeWrite()
        return (target[name] as (...given: never[]) => Promise<void>).apply(target, given)
      }
    if (name !== 'open') return target[name].bind(target)
    return async (...given: Parameters<typeof target.open>) => {
      if (given[1] !== 'read') beforeWrite()
      const file = await target.open(...given)
      return new Proxy(file, {
        get: (opened, part: keyof typeof file) => {
          const work: unknown = opened[part]
          // An await looks for `then`.
          if (typeof work !== 'function') return work
          return (...more: never[]) => {
            if (part === 'write' || part === 'sync' || part === 'truncate') beforeWrite()
            return work.apply(opened, more)
          }
        },
      })
    }
  },
})

const { exec } = DatabaseSync.prototype
DatabaseSync.prototype.exec = function (sql: string) {
  if (!/^\s*(SELECT|PRAGMA)/i.test(sql)) beforeWrite()
  return exec.call(this, sql)
}
const { run } = StatementSync.prototype
StatementSync.prototype.run = new Proxy(run, {
  apply: (target, statement, given) => {
    beforeWrite()
    return Reflect.apply(target, statement, given)
  },
})

const ports = { ...systemPorts, files }
const place = new SiteFolder(folder, 'site', ports)
const nobody = async (): Promise<never> => {
  throw new InternalError('no transfer is read here')
}
const { placement, close } = await openPlacement(place, ports, {
  database: openDatabase(`${folder}/placement/placement.db`),
  buffer: { describe: nobody, read: nobody, release: nobody },
  log: silent,
})
const database = openDatabase(`${folder}/gateway.db`)
const issuer = await DirectoryIssuer.open({
  site: 'site',
  key: await loadSiteKey(files, `${folder}/gateway.key`, ports.random),
  database,
  clock: ports.clock,
  log: silent,
  sources: [
    insideSource('placement', {
      held: () => placement.keyPairs.held(),
      rotate: (order) => placement.keyPairs.rotate(order),
    }),
  ],
})
if (step !== '') {
  counting = true
  await issuer.rotate('placement', 1)
  counting = false
}
const told = issuer.directory.keys.filter(({ holder, use }) => holder === 'placement' && use === 'sign')
const held = (await placement.keyPairs.held()).filter(({ use }) => use === 'sign')
const hex = ({ key }: { key: Uint8Array }) => Buffer.from(key).toString('hex')
console.log(JSON.stringify({ steps, told: told.map(hex), held: held.map(hex) }))
await close()
await database.close()
process.exit(0)
