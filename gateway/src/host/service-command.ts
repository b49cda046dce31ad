/** Services as processes of their own: commands that follow from the list, so that a new service needs no other file. */
import type { Command } from '@azukari/protocol/adapters/command'
import type { holdFolder } from '@azukari/protocol/adapters/folder-lock'
import { isProblem } from '@azukari/protocol/problem'
import { folder, site } from '../operator/site-options.ts'
import { services } from '../services/index.ts'
import type { ServiceModule } from './service-module.ts'

export const host = { type: 'string', what: 'address to listen on', default: '127.0.0.1' } as const
export const port = { type: 'string', what: 'port to listen on; 0 = any free one' } as const

/** @param role `backup`: the second of two, of which one leads */
function serviceCommand(module: ServiceModule, role: 'primary' | 'backup'): Command {
  const { name, peers, readsBuffer, lock } = module
  const asked: Command['options'] = Object.fromEntries(
    peers.map((peer) => [peer, { type: 'string', what: `https://… of ${peer}, which it asks`, required: true }]),
  )
  return {
    what:
      role === 'primary'
        ? `Runs ${name} (${module.what}) as a process of its own, beside a gateway that was started with --${name}.`
        : `Runs the second process of ${name}: it keeps what the other commits and takes over when that one is lost.`,
    options: {
      folder,
      site,
      host,
      port: { ...port, default: String(role === 'primary' ? module.port : module.port + 1) },
      ...(readsBuffer && {
        gateway: {
          type: 'string',
          what: 'https://… of the gateway’s receive buffer (its --peer-port)',
          required: true,
        },
      }),
      ...asked,
    },
    async run(values) {
      const [
        { integer, text },
        { holdFolder },
        { address, addresses },
        { consoleLog },
        { runService },
        process_,
        { Stores },
      ] = await Promise.all([
        import('@azukari/protocol/adapters/command-line'),
        import('@azukari/protocol/adapters/folder-lock'),
        import('../config.ts'),
        import('../log.ts'),
        import('./run-service.ts'),
        import('./process.ts'),
        import('../adapters/stores.ts'),
      ])
      const path = text(values, 'folder')
      const isSeveral = module.processes === 'several' && Stores.of(path).engine === 'postgres'
      const own = `${path}/${role === 'primary' ? lock : `${name}-backup.lock`}`
      const { place, held } = takePlace(holdFolder, own, isSeveral ? maxPlaces : 1)
      using _ = held
      const running = await runService(module, {
        site: text(values, 'site'),
        folder: path,
        host: text(values, 'host'),
        port: integer(values, 'port', 0, 65_535),
        role,
        place,
        gateway: readsBuffer ? address(values['gateway'], /^https:$/, '--gateway') : undefined,
        peers: Object.fromEntries(peers.map((peer) => [peer, addresses(values[peer], `--${peer}`)])),
        passphrase: process.env['AZUKARI_PASSPHRASE'],
        log: consoleLog(role === 'primary' ? name : `${name}-backup`),
      })
      process_.ready({ ready: name, url: running.url })
      await process_.stopAsked()
      await running.stop()
      return undefined
    },
  }
}

/** Processes of one service in one folder, most. */
const maxPlaces = 16

/** The first place in a folder that no other process of the service has. @throws {Problem} `folder.in-use` when there is none */
function takePlace(hold: typeof holdFolder, lock: string, places: number): { place: number; held: Disposable } {
  for (let place = 1; ; place++)
    try {
      return { place, held: hold(place === 1 ? lock : lock.replace(/\.lock$/, `-${place}.lock`)) }
    } catch (error) {
      if (place === places || !isProblem(error, 'folder.in-use')) throw error
    }
}

export const serviceCommands: Record<string, Command> = Object.fromEntries(
  services.flatMap((module) => [
    [module.name, serviceCommand(module, 'primary')],
    ...(module.paired ? [[`${module.name} backup`, serviceCommand(module, 'backup')] as const] : []),
  ]),
)
