/**
 * Files that make a program a service of a Linux system: systemd units (systemd.exec(5)) and what goes beside them. They
 * are made by the installed program itself, so that the paths in them are its own.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Problem } from '../problem.ts'
import { leanEnvironment } from './lean-memory.ts'

/** Text by absolute path. */
export type ServiceFiles = Readonly<Record<string, string>>

export type UnitSection = readonly (readonly [key: string, value: string])[]

/** A unit file. @throws {Problem} `config.invalid` for a value that would begin a new line */
export function unitText(comment: string, sections: Readonly<Record<string, UnitSection>>): string {
  const text = Object.entries(sections).map(
    ([name, lines]) => `[${name}]\n${lines.map(([key, value]) => `${key}=${oneLine(value)}\n`).join('')}`,
  )
  return `# ${oneLine(comment)}\n\n${text.join('\n')}`
}

function oneLine(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be in a unit
  if (/[\u0000-\u001f\u007f]/.test(value))
    throw new Problem('config.invalid', `${JSON.stringify(value)} is not one line`)
  return value
}

/** A command line of a unit: nothing in its words is a specifier, a variable or a quote (systemd.service(5)). */
export function execLine(words: readonly string[]): string {
  return words
    .map((word) => {
      const escaped = word.replaceAll('%', '%%').replaceAll('$', '$$$$')
      return /^[\w@+=:,./%$-]+$/.test(escaped)
        ? escaped
        : `"${escaped.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
    })
    .join(' ')
}

/** What no service of ours needs is not there for it. Memory stays writable and executable: V8 compiles into it. */
export function hardened(programs: readonly string[]): UnitSection {
  const inHome = programs.some((path) => /^\/(home|root|run\/user)\//.test(path))
  return [
    ['UMask', '0077'],
    ['NoNewPrivileges', 'yes'],
    ['CapabilityBoundingSet', ''],
    ['AmbientCapabilities', ''],
    ['ProtectSystem', 'strict'],
    // A program that was installed in somebody's home can at least not write there.
    ['ProtectHome', inHome ? 'read-only' : 'yes'],
    ['PrivateTmp', 'yes'],
    ['ProtectClock', 'yes'],
    ['ProtectControlGroups', 'yes'],
    ['ProtectHostname', 'yes'],
    ['ProtectKernelLogs', 'yes'],
    ['ProtectKernelModules', 'yes'],
    ['ProtectKernelTunables', 'yes'],
    ['ProtectProc', 'invisible'],
    ['RestrictNamespaces', 'yes'],
    ['RestrictRealtime', 'yes'],
    ['RestrictSUIDSGID', 'yes'],
    ['LockPersonality', 'yes'],
    ['RemoveIPC', 'yes'],
    ['SystemCallArchitectures', 'native'],
    ['SystemCallFilter', '@system-service'],
    ['SystemCallFilter', '~@privileged'],
    ['SystemCallErrorNumber', 'EPERM'],
  ]
}

/** What the process finds in its environment; a drop-in or the environment file may say otherwise. */
export const leanUnit: UnitSection = Object.entries(leanEnvironment).map(
  ([name, value]) => ['Environment', `${name}=${value}`] as const,
)

/** Comes back after any end, for ever: nobody stands beside a board, or a gateway, at night. */
export const restarting: UnitSection = [
  ['Restart', 'always'],
  ['RestartSec', '2'],
  // What is under way is finished or written down; after that it is cut off, which loses nothing.
  ['TimeoutStopSec', '30'],
  // A launcher passes the signal on; twice would end what it runs without goodbye.
  ['KillMode', 'mixed'],
]

/** For programs that say that they are alive (`watchdog.ts`), themselves or what they have started. */
export const watched: UnitSection = [
  ['WatchdogSec', '300'],
  // `systemd-notify` is a process of its own in the unit.
  ['NotifyAccess', 'all'],
]

/** Limits of the journal (journald.conf(5)), which is where our programs' lines go; they write no log files. */
export function journalLimits(storage: 'volatile' | 'persistent', megabytes: number): string {
  const limit = storage === 'volatile' ? 'RuntimeMaxUse' : 'SystemMaxUse'
  const section: UnitSection = [
    ['Storage', storage],
    [limit, `${megabytes}M`],
    ['RateLimitIntervalSec', '30s'],
    ['RateLimitBurst', '2000'],
  ]
  const why = storage === 'volatile' ? 'Logs stay in memory: a card wears out by being written.' : 'Logs have an end.'
  return unitText(why, { Journal: section })
}

/** Shows files, or writes them below `out` (`/` installs them). */
export function answerFiles(files: ServiceFiles, out: string | undefined): { json: unknown; text: string } {
  if (out === undefined)
    return {
      json: files,
      text: Object.entries(files)
        .map(([path, text]) => `# ── ${path}\n${text}`)
        .join('\n'),
    }
  const written = Object.entries(files).map(([path, text]) => {
    const file = join(out, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text, { mode: 0o644 })
    return file
  })
  return { json: { written }, text: written.join('\n') }
}
