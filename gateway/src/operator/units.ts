/** The units of a site (D6): gateway, services in processes of their own, data servers; and an end to the journal. */
import {
  execLine,
  hardened,
  journalLimits,
  leanUnit,
  restarting,
  type ServiceFiles,
  type UnitSection,
  unitText,
  watched,
} from '@azukari/protocol/adapters/service-files'
import { Problem } from '@azukari/protocol/problem'
import { services } from '../services/index.ts'

export interface SiteUnits {
  /** Absolute path of Node. */
  node: string
  /** Absolute path of `azukari-gateway`’s own module. */
  program: string
  site: string
  /** The site’s folder: directly below /var/lib. */
  folder: string
  /** Services run as processes of their own. */
  apart: boolean
}

const units = '/etc/systemd/system'
/** Where the receive buffer listens when services run apart. */
const peerPort = 8_473

/** Files by path. @throws {Problem} `config.invalid` for a folder that systemd cannot keep for a service */
export function siteUnits({ node, program, site, folder, apart }: SiteUnits): ServiceFiles {
  const state = /^\/var\/lib\/([a-z0-9][a-z0-9-]{0,63})$/.exec(folder)?.[1]
  if (state === undefined)
    throw new Problem('config.invalid', `--folder ${folder}: a service keeps its folder directly below /var/lib`)
  const own = ['--folder', folder, '--site', site]
  const command = (words: readonly string[]) => execLine([node, program, ...words])
  const confined: UnitSection = [
    // One user for all processes of the site, made when the first of them starts: they share the folder.
    ['DynamicUser', 'yes'],
    ['User', 'azukari-site'],
    ['StateDirectory', state],
    ['StateDirectoryMode', '0700'],
    ['WorkingDirectory', folder],
    ...leanUnit,
    // What was compiled once: the next start takes a third of the time.
    ['CacheDirectory', state],
    ['Environment', `NODE_COMPILE_CACHE=/var/cache/${state}`],
    ...hardened([node, program]),
    ['PrivateDevices', 'yes'],
    ['DevicePolicy', 'closed'],
    ['RestrictAddressFamilies', 'AF_INET AF_INET6 AF_UNIX'],
  ]
  const unit = (what: string, after: string, exec: UnitSection) =>
    unitText(`Azukari: ${what}. Made by \`azukari-gateway service\`; changes belong into a drop-in (systemctl edit).`, {
      Unit: [
        ['Description', `Azukari ${what}`],
        ['Documentation', 'man:systemd.exec(5)'],
        ['Wants', 'network-online.target'],
        ['After', after],
        // Before `azukari-gateway init` there is nothing to run.
        ['ConditionPathExists', `${folder}/gateway.key`],
        ['StartLimitIntervalSec', '0'],
      ],
      Service: [['Type', 'exec'], ...exec, ...restarting, ...confined],
      Install: [['WantedBy', 'multi-user.target']],
    })
  const at = (port: number) => `https://127.0.0.1:${port}`
  const apartFlags = apart
    ? [...services.flatMap(({ name, port }) => [`--${name}`, at(port)]), '--peer-port', String(peerPort)]
    : []
  const portOf = new Map(services.map(({ name, port }) => [name, port]))
  const service = (name: string, words: readonly string[]) =>
    unit(name, 'network-online.target', [
      ['EnvironmentFile', '-/etc/azukari/gateway.env'],
      ['ExecStart', command([name, ...own, ...words])],
      ['LimitNOFILE', '16384'],
      ['TasksMax', '512'],
    ])
  return {
    [`${units}/azukari-gateway.service`]: unit('gateway', 'network-online.target', [
      // AZUKARI_PASSPHRASE, AZUKARI_BROKER_PASSWORD and any option; read by systemd, so it may be root’s alone.
      ['EnvironmentFile', '-/etc/azukari/gateway.env'],
      ['ExecStart', command([apart ? 'run' : 'launch', ...own, ...apartFlags])],
      // A connection is a file; 20 000 devices and what else there is.
      ['LimitNOFILE', '65536'],
      ['TasksMax', '512'],
      ['OOMScoreAdjust', '-200'],
      ...watched,
    ]),
    ...(apart &&
      Object.fromEntries(
        services.map(({ name, port, peers, readsBuffer }) => [
          `${units}/azukari-${name}.service`,
          service(name, [
            '--port',
            String(port),
            ...(readsBuffer ? ['--gateway', at(peerPort)] : []),
            ...peers.flatMap((peer) => [`--${peer}`, at(portOf.get(peer)!)]),
          ]),
        ]),
      )),
    [`${units}/azukari-data-server@.service`]: unit('data server %i', 'network-online.target', [
      // AZUKARI_PORT must stand there: servers.json names it. Disks elsewhere want ReadWritePaths= in a drop-in.
      ['EnvironmentFile', '/etc/azukari/data-server-%i.env'],
      ['ExecStart', `${command(['data-server', ...own, '--id'])} %i`],
      ['LimitNOFILE', '16384'],
      ['TasksMax', '256'],
    ]),
    '/etc/systemd/journald.conf.d/61-azukari-site.conf': journalLimits('persistent', 500),
  }
}
