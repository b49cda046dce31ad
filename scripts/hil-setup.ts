/**
 * Installs what hardware-in-the-loop tests drive: Debian packages that are missing, and says whether this machine lets
 * programs have a network of their own. `--dry-run` only says what it would do.
 */
import { spawnSync } from 'node:child_process'
import { namespaceAdvice, namespacesRefused } from '../sim/src/hil/apart.ts'

/** Each package, and what of the loop it is. */
const packages: Readonly<Record<string, string>> = {
  'avahi-daemon': 'announces the reference printer',
  chromium: 'the kiosk display',
  'cups-ipp-utils': 'the reference IPP Everywhere printer and its client',
  dbus: 'the announcer’s bus',
  e2fsprogs: 'memory cards and sticks',
  ffmpeg: 'cameras',
  gphoto2: 'tethered cameras',
  iproute2: 'networks of their own',
  pcscd: 'the PC/SC daemon',
  'poppler-utils': 'looks at printed PDF',
  'sane-utils': 'scanners',
  socat: 'serial lines',
  'vsmartcard-vpcd': 'the virtual card reader',
}
const isDryRun = process.argv.includes('--dry-run')

function isInstalled(name: string): boolean {
  const { status, stdout } = spawnSync('dpkg-query', ['-W', `-f=\${db:Status-Status}`, name], { encoding: 'utf8' })
  return status === 0 && stdout === 'installed'
}

function run(command: string, args: string[]): void {
  console.log(`${command} ${args.join(' ')}`)
  if (isDryRun) return
  const { status, error } = spawnSync(command, args, {
    stdio: 'inherit',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  })
  if (status !== 0) {
    console.error(`${command} failed${error ? `: ${error.message}` : ''}; it needs root and Debian 12 or later`)
    process.exit(1)
  }
}

const missing = Object.keys(packages).filter((name) => !isInstalled(name))
for (const [name, what] of Object.entries(packages))
  console.log(`${missing.includes(name) ? 'missing  ' : 'there    '}${name}: ${what}`)
if (missing.length > 0) {
  run('apt-get', ['update', '-q'])
  run('apt-get', ['install', '-y', '-q', '--no-install-recommends', ...missing])
}
const refused = isDryRun && missing.includes('iproute2') ? undefined : namespacesRefused()
if (refused === undefined) console.log('there    namespaces: programs can have a network of their own')
else if (process.env['AZUKARI_HIL_ALONE'] === '1')
  console.log(`namespaces are refused (${refused}); AZUKARI_HIL_ALONE=1: programs run beside everything else`)
else {
  console.error(`namespaces are refused (${refused}): ${namespaceAdvice}`)
  process.exit(1)
}
