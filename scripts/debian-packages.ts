/** Programs of Debian that tests drive, in one place: `npm test` and `npm run hil:setup` install what is missing. */
import { spawnSync } from 'node:child_process'

export interface DebianPackage {
  name: string
  /** What of the tests it is. */
  what: string
}

/** What `npm test` drives. Without one of them its tests are left out. */
export const testPackages: readonly DebianPackage[] = [
  { name: 'chromium', what: 'the browser at the pages for people' },
  { name: 'imagemagick', what: 'an independent reader of pictures' },
  { name: 'libimage-exiftool-perl', what: 'an independent reader of what pictures carry (exiftool)' },
  { name: 'mosquitto', what: 'a broker that is not ours' },
  { name: 'mosquitto-clients', what: 'its clients, which read telemetry' },
  { name: 'poppler-utils', what: 'an independent reader of PDF' },
  { name: 'postgresql', what: 'the second engine of the stores' },
  { name: 'socat', what: 'stands in for systemd’s notification socket' },
  { name: 'systemd', what: 'judges unit files; is told that a process lives' },
]

/** What the test of several hosts drives. */
export const deploymentPackages: readonly DebianPackage[] = [
  { name: 'chromium', what: 'the browser at the boards’ pages' },
  { name: 'iproute2', what: 'networks of their own' },
  { name: 'openssl', what: 'makes the certificate of the line to the boards' },
  { name: 'pcscd', what: 'the PC/SC daemon' },
  { name: 'vsmartcard-vpcd', what: 'the virtual card reader' },
]

/** What hardware-in-the-loop tests drive. */
export const hilPackages: readonly DebianPackage[] = [
  { name: 'avahi-daemon', what: 'announces the reference printer' },
  { name: 'chromium', what: 'the kiosk display' },
  { name: 'cups-ipp-utils', what: 'the reference IPP Everywhere printer and its client' },
  { name: 'dbus', what: 'the announcer’s bus' },
  { name: 'e2fsprogs', what: 'memory cards and sticks' },
  { name: 'ffmpeg', what: 'cameras' },
  { name: 'gphoto2', what: 'tethered cameras' },
  { name: 'iproute2', what: 'networks of their own' },
  { name: 'pcscd', what: 'the PC/SC daemon' },
  { name: 'poppler-utils', what: 'looks at printed PDF' },
  { name: 'sane-utils', what: 'scanners' },
  { name: 'socat', what: 'serial lines' },
  { name: 'vsmartcard-vpcd', what: 'the virtual card reader' },
]

/** Those that are not installed; all of them where there is no dpkg to ask. */
export function missingPackages(packages: readonly DebianPackage[]): DebianPackage[] {
  const asked = spawnSync('dpkg-query', ['-W', `-f=\${binary:Package} \${db:Status-Status}\n`, ...names(packages)], {
    encoding: 'utf8',
  })
  const installed = new Set(
    (asked.stdout ?? '')
      .split('\n')
      .filter((line) => line.endsWith(' installed'))
      .map((line) => line.split(/[ :]/)[0]),
  )
  return packages.filter(({ name }) => !installed.has(name))
}

/** Why packages cannot be installed here; undefined when they can. */
export function installRefusal(): string | undefined {
  if (spawnSync('apt-get', ['--version']).status !== 0) return 'there is no apt-get here'
  if (process.getuid?.() !== 0) return 'only root may install'
  return undefined
}

/** Installs packages and says what it does. Gives why it could not, or undefined when all are there now. */
export function installPackages(packages: readonly DebianPackage[]): string | undefined {
  const refusal = installRefusal()
  if (refusal) return refusal
  for (const args of [
    ['update', '-q'],
    ['install', '-y', '-q', '--no-install-recommends', ...names(packages)],
  ]) {
    console.log(`apt-get ${args.join(' ')}`)
    // Its hundreds of lines are of interest only when it fails.
    const { status, stdout, stderr } = spawnSync('apt-get', args, {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    })
    if (status !== 0) {
      console.error(`${stdout}${stderr}`.trimEnd())
      return `apt-get ${args[0]} failed`
    }
  }
  return undefined
}

function names(packages: readonly DebianPackage[]): string[] {
  return packages.map(({ name }) => name)
}
