/**
 * Units, rules and limits that our programs print for a system (D1, D6, S17): each can be read, uses only what systemd and
 * udev know, and calls programs and commands that are there. Where systemd is, it judges them itself.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { boardDefinitions } from '@azukari/boards/definitions'
import { commands as deviceCommands } from '@azukari/device/commands'
import { commands as gatewayCommands } from '@azukari/gateway/commands'
import { services } from '@azukari/gateway/services/index'
import type { Command } from '@azukari/protocol/adapters/command'
import { execLine, unitText } from '@azukari/protocol/adapters/service-files'
import t from 'tap'

const root = resolve(import.meta.dirname, '..')
const noSystemd = existsSync('/usr/bin/systemd-analyze') ? false : 'no systemd here; npm test installs it where it may'
const programs: Record<string, { cli: string; commands: Record<string, Command>; words: string[] }> = {
  gateway: { cli: join(root, 'gateway/src/cli.ts'), commands: gatewayCommands, words: ['--apart', '--site', 'tokyo'] },
  device: {
    cli: join(root, 'device/src/cli.ts'),
    commands: deviceCommands,
    words: ['--broker', 'mqtts://site.example:8883', '--site', 'tokyo'],
  },
}

/** Keys of systemd.unit(5), systemd.service(5), systemd.exec(5), systemd.resource-control(5), journald.conf(5). */
const keys: Record<string, ReadonlySet<string>> = {
  Unit: new Set(
    'Description Documentation Wants After BindsTo ConditionPathExists ConditionPathIsMountPoint StartLimitIntervalSec'.split(
      ' ',
    ),
  ),
  Service: new Set(
    (
      'Type Environment EnvironmentFile CacheDirectory ExecStart ExecStop Restart RestartSec KillMode WatchdogSec NotifyAccess TimeoutStartSec TimeoutStopSec RemainAfterExit DynamicUser ' +
      'User StateDirectory StateDirectoryMode WorkingDirectory UMask NoNewPrivileges CapabilityBoundingSet ' +
      'AmbientCapabilities ProtectSystem ProtectHome ReadWritePaths PrivateTmp PrivateDevices ProtectClock ' +
      'ProtectControlGroups ProtectHostname ProtectKernelLogs ProtectKernelModules ProtectKernelTunables ProtectProc ' +
      'RestrictNamespaces RestrictRealtime RestrictSUIDSGID RestrictAddressFamilies LockPersonality RemoveIPC ' +
      'SystemCallArchitectures SystemCallFilter SystemCallErrorNumber DevicePolicy DeviceAllow LimitNOFILE TasksMax ' +
      'OOMScoreAdjust MemoryHigh MemoryMax'
    ).split(' '),
  ),
  Install: new Set(['WantedBy']),
  Journal: new Set(['Storage', 'RuntimeMaxUse', 'SystemMaxUse', 'RateLimitIntervalSec', 'RateLimitBurst']),
}

type Sections = Record<string, [key: string, value: string][]>

/** Reads a unit file as systemd.syntax(7) says, strictly. @throws for what is none */
function parse(text: string): Sections {
  const sections: Sections = {}
  let now: [string, string][] | undefined
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const section = /^\[(\w+)\]$/.exec(line)?.[1]
    const pair = /^([A-Z]\w*)=(.*)$/.exec(line)
    if (section) now = sections[section] ??= []
    else if (pair && now) now.push([pair[1]!, pair[2]!])
    else throw new Error(`not a line of a unit: ${line}`)
  }
  return sections
}

function make(folder: string, name: keyof typeof programs): Record<string, string> {
  const { cli, words } = programs[name]!
  const made = spawnSync(process.execPath, [cli, 'service', ...words, '--out', folder, '--json'], { encoding: 'utf8' })
  if (made.status !== 0) throw new Error(made.stderr)
  const { written } = JSON.parse(made.stdout) as { written: string[] }
  return Object.fromEntries(written.map((file) => [file.slice(folder.length), readFileSync(file, 'utf8')]))
}

for (const name of ['gateway', 'device'] as const)
  t.test(`D6, S17: azukari-${name} service: units parse, and what they call is there`, async (t) => {
    const folder = t.testdir()
    const files = make(folder, name)
    const { commands, cli } = programs[name]!
    let ours = 0
    for (const [path, text] of Object.entries(files).filter(([path]) => /\.service$|journald/.test(path))) {
      const sections = parse(text)
      for (const [section, lines] of Object.entries(sections))
        for (const [key, value] of lines) {
          t.ok(keys[section]?.has(key), `${path}: [${section}] ${key}`)
          if (/^Exec/.test(key)) {
            const words = value.split(' ')
            t.ok(existsSync(words[0]!), `${path}: ${words[0]} is there`)
            const at = words.indexOf(cli)
            if (at < 0) continue
            ours++
            const { options } = commands[words[at + 1]!]!
            for (const flag of words.slice(at + 2).filter((word) => word.startsWith('--')))
              t.ok(flag.slice(2) in options, `${path}: ${words[at + 1]} has ${flag}`)
            for (const [option, { required }] of Object.entries(options))
              if (required) t.ok(words.includes(`--${option}`), `${path}: --${option} is given`)
          }
        }
      if (!sections['Service'] || path.includes('media@')) continue
      const service = new Map(sections['Service'])
      t.ok(
        sections['Service'].some(([key, value]) => key === 'Environment' && value.startsWith('GLIBC_TUNABLES=')),
        `${path}: freed blocks stay with the process (B1)`,
      )
      t.match(Object.fromEntries(service), {
        Restart: 'always',
        NoNewPrivileges: 'yes',
        ProtectSystem: 'strict',
        LimitNOFILE: /^\d+$/,
        UMask: '0077',
      })
    }
    t.equal(ours, name === 'gateway' ? 2 + services.length : 1, 'units that run us: gateway, data server, each service')
    const units = join(folder, 'etc/systemd/system')
    const here = readdirSync(units)
    t.ok(here.length > 0)
    await t.test('systemd has nothing to say', { skip: noSystemd }, async (t) => {
      for (const file of here) {
        const verified = spawnSync('systemd-analyze', ['verify', '--man=no', join(units, file)], { encoding: 'utf8' })
        t.equal(
          verified.stderr
            .split('\n')
            .filter((line) => line.includes(file))
            .join('\n'),
          '',
          `${file}: systemd has nothing to say`,
        )
        if (file.includes('media@')) continue
        // Judged from 0 (nothing is open) to 10; 2 keeps what we have.
        const judged = spawnSync(
          'systemd-analyze',
          ['security', '--offline=true', '--threshold=20', join(units, file)],
          {
            encoding: 'utf8',
          },
        )
        t.equal(judged.status, 0, `${file}: ${judged.stdout.split('\n').at(-2)}`)
      }
    })
  })

t.test('S17: udev rules and the device’s user can be read, and name what the boards name', async (t) => {
  const files = make(t.testdir(), 'device')
  const rules = files['/etc/udev/rules.d/70-azukari.rules']!.split('\n').filter((line) => line && !line.startsWith('#'))
  // udev(7): comma-separated pairs of key, operator and quoted value.
  const pair = /^(ACTION|SUBSYSTEM|TAG|SYMLINK|GROUP|MODE|(?:ATTRS|ENV)\{\w+\})(==|!=|\+=|=)"([^"]*)"$/
  for (const line of rules)
    for (const part of line.split(', ')) {
      const [, key, operator] = pair.exec(part) ?? []
      t.ok(key, part)
      if (/^(ACTION|SUBSYSTEM|ATTRS)/.test(key!)) t.match(operator, /^[=!]=$/, `${part} asks`)
      else if (!key!.startsWith('ENV')) t.match(operator, /^\+?=$/, `${part} sets`)
    }
  const links = rules.flatMap((line) => [...line.matchAll(/SYMLINK\+="([^"]+)"/g)].map((match) => `/dev/${match[1]}`))
  const wanted = Object.values(boardDefinitions).flatMap(({ parts }) =>
    Object.values(parts).flatMap((part) =>
      Object.values(part).filter((value) => String(value).startsWith('/dev/azukari')),
    ),
  )
  t.ok(wanted.length > 0)
  for (const path of wanted) t.ok(links.includes(String(path)), `${path} of a board has a rule`)
  const wants = rules.join('\n').match(/azukari-media@/g) ?? []
  t.equal(wants.length, 1)
  t.ok(
    Object.keys(files).some((path) => path.endsWith('/azukari-media@.service')),
    'the mount that the rule wants is there',
  )
  for (const line of files['/usr/lib/sysusers.d/azukari-device.conf']!.trim().split('\n'))
    t.match(line, /^(u azukari - "[^"]+" \/var\/lib\/[a-z-]+|m azukari [a-z]+)$/)
})

t.test('D6: a value cannot begin a new line of a unit, and words stay words', async (t) => {
  t.throws(() => unitText('x', { Unit: [['Description', 'a\nExecStart=/bin/sh']] }), { code: 'config.invalid' })
  t.equal(execLine(['/bin/x', 'a b', '100%', '$HOME', 'say "hi"\\']), '/bin/x "a b" 100%% $$HOME "say \\"hi\\"\\\\"')
  const { cli } = programs['gateway']!
  for (const wrong of ['/home/me/site', '/var/lib/../etc', '/var/lib/a/b', './site'])
    t.equal(spawnSync(process.execPath, [cli, 'service', '--folder', wrong]).status, 1, wrong)
})
