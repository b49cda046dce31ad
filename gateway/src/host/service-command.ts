/** Services as processes of their own: commands that follow from the list, so that a new service needs no other file. */
import type { Command } from '@azukari/protocol/adapters/command'
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
      const [{ integer, text }, { holdFolder }, { address, addresses }, { consoleLog }, { runService }, process_] =
        await Promise.all([
          import('@azukari/protocol/adapters/command-line'),
          import('@azukari/protocol/adapters/folder-lock'),
          import('../config.ts'),
          import('../log.ts'),
          import('./run-service.ts'),
          import('./process.ts'),
        ])
      const own = role === 'primary' ? lock : `${name}-backup.lock`
      using _ = holdFolder(`${text(values, 'folder')}/${own}`)
      const running = await runService(module, {
        site: text(values, 'site'),
        folder: text(values, 'folder'),
        host: text(values, 'host'),
        port: integer(values, 'port', 0, 65_535),
        role,
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

export const serviceCommands: Record<string, Command> = Object.fromEntries(
  services.flatMap((module) => [
    [module.name, serviceCommand(module, 'primary')],
    ...(module.paired ? [[`${module.name} backup`, serviceCommand(module, 'backup')] as const] : []),
  ]),
)
