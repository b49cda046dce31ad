/**
 * What makes a board a board that starts by itself (D1, S17): its user, its unit, names that stay for its parts (udev), a
 * mount for what is plugged in, and a journal that does not wear out its card.
 */
import {
  execLine,
  hardened,
  journalLimits,
  leanUnit,
  restarting,
  type ServiceFiles,
  unitText,
  watched,
} from '@azukari/protocol/adapters/service-files'
import { Problem } from '@azukari/protocol/problem'

export interface BoardService {
  /** Absolute path of Node. */
  node: string
  /** Absolute path of `azukari-device`’s own module. */
  program: string
  /** Absolute path of the board’s definition, or a board’s name. */
  board: string
  /** `mqtts://HOST:PORT` of the site. */
  broker: string
  site: string
  /** The device’s folder: directly below /var/lib. */
  folder: string
}

const units = '/etc/systemd/system'
const user = 'azukari'
/** Where what is plugged in is mounted; board definitions name it. */
const media = '/media/azukari'
const mounted = 'nosuid,nodev,noexec,noatime'
/** Groups that Debian has on every system: serial lines, cameras, USB. */
const groups = ['dialout', 'video', 'plugdev', 'lp', 'audio']
/** Kinds of device nodes that drivers open: `/proc/devices` has their names. */
const nodes = ['ttyACM', 'ttyUSB', 'ttyAMA', 'ttyS', 'video4linux', 'media', 'dma_heap', 'usb_device', 'usb', 'lp']

/** USB ids of microcontroller boards that are used as panels; others are added by the operator. */
const panels = [
  ['2341', '0043', 'Arduino Uno'],
  ['2341', '0042', 'Arduino Mega'],
  ['2341', '8036', 'Arduino Leonardo'],
  ['1a86', '7523', 'CH340 serial'],
] as const

/** Files by path. @throws {Problem} `config.invalid` for a folder that systemd cannot keep for a service */
export function boardService({ node, program, board, broker, site, folder }: BoardService): ServiceFiles {
  const state = /^\/var\/lib\/([a-z0-9][a-z0-9-]{0,63})$/.exec(folder)?.[1]
  if (state === undefined)
    throw new Problem('config.invalid', `--folder ${folder}: a service keeps its folder directly below /var/lib`)
  // The launcher, so that an upgrade's release can take over and be gone back from.
  const words = ['launch', '--board', board, '--broker', broker, '--site', site, '--folder', folder]
  return {
    '/usr/lib/sysusers.d/azukari-device.conf': [
      `u ${user} - "Azukari device" ${folder}`,
      ...groups.map((group) => `m ${user} ${group}`),
      '',
    ].join('\n'),
    [`${units}/azukari-device.service`]: unitText(
      'Azukari: the device. Made by `azukari-device service`; changes belong into a drop-in (systemctl edit).',
      {
        Unit: [
          ['Description', 'Azukari device'],
          ['Documentation', 'man:systemd.exec(5)'],
          // It waits for its line by itself and keeps what it takes meanwhile: nothing need be ordered before it.
          ['After', 'network.target pcscd.socket'],
          ['StartLimitIntervalSec', '0'],
        ],
        Service: [
          ['Type', 'exec'],
          // AZUKARI_CLAIM for the first start, and any option.
          ['EnvironmentFile', '-/etc/azukari/device.env'],
          ['ExecStart', execLine([node, program, ...words])],
          ...restarting,
          ...watched,
          ...leanUnit,
          ['User', user],
          ['StateDirectory', state],
          ['StateDirectoryMode', '0700'],
          ['WorkingDirectory', folder],
          // The directory above, since a mount that comes later is hidden below one that was bound before.
          ['ReadWritePaths', '-/media'],
          ...hardened([node, program]),
          ['DevicePolicy', 'closed'],
          ...nodes.map((name) => ['DeviceAllow', `char-${name} rw`] as const),
          // Netlink tells of parts that are plugged in (udev).
          ['RestrictAddressFamilies', 'AF_INET AF_INET6 AF_UNIX AF_NETLINK'],
          ['LimitNOFILE', '4096'],
          ['TasksMax', '128'],
          ['MemoryHigh', '200M'],
          ['MemoryMax', '300M'],
        ],
        Install: [['WantedBy', 'multi-user.target']],
      },
    ),
    '/etc/udev/rules.d/70-azukari.rules': rules(),
    [`${units}/azukari-media@.service`]: unitText('Azukari: mounts what is plugged in, until it is pulled out.', {
      Unit: [
        ['Description', 'Azukari medium on %i'],
        ['BindsTo', 'dev-%i.device'],
        ['After', 'dev-%i.device'],
        ['ConditionPathIsMountPoint', `!${media}`],
      ],
      Service: [
        ['Type', 'oneshot'],
        ['RemainAfterExit', 'yes'],
        // Cards of cameras are FAT, which knows no owners, so the mount says who may read and write; others know it.
        [
          'ExecStart',
          `/bin/sh -c 'mkdir -p ${media} && { mount -o ${mounted},umask=007,gid=${user} /dev/%i ${media} || mount -o ${mounted} /dev/%i ${media}; }'`,
        ],
        ['ExecStop', `/bin/umount -l ${media}`],
        ['TimeoutStartSec', '30'],
      ],
    }),
    '/etc/systemd/journald.conf.d/60-azukari-device.conf': journalLimits('volatile', 32),
  }
}

/** udev(7): the panel has one name, parts belong to the device’s group, media are mounted. */
function rules(): string {
  const owned = `GROUP="${user}", MODE="0660"`
  return [
    '# Azukari: parts of a board. Made by `azukari-device service`.',
    ...panels.flatMap(([vendor, product, what]) => [
      `# ${what}`,
      `SUBSYSTEM=="tty", ATTRS{idVendor}=="${vendor}", ATTRS{idProduct}=="${product}", SYMLINK+="azukari-panel", ${owned}`,
    ]),
    '# Cameras, and the media controllers in front of them',
    `SUBSYSTEM=="video4linux", ${owned}`,
    `SUBSYSTEM=="media", ${owned}`,
    `SUBSYSTEM=="dma_heap", ${owned}`,
    '# Memory that is plugged in; one name for it, also when its file system is not understood',
    `ACTION!="remove", SUBSYSTEM=="block", ENV{ID_BUS}=="usb", SYMLINK+="azukari-memory"`,
    'ACTION=="add", SUBSYSTEM=="block", ENV{ID_BUS}=="usb", ENV{ID_FS_USAGE}=="filesystem", TAG+="systemd", ENV{SYSTEMD_WANTS}+="azukari-media@%k.service"',
    '',
  ].join('\n')
}
