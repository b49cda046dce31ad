/**
 * What `azukari-device` can do. Each command is one row; it imports what it needs when it runs, so that `--help` and
 * `status` cost a small board no more than they must.
 */

import type { Command, Values } from '@azukari/protocol/adapters/command'
import { integer, text } from '@azukari/protocol/adapters/command-line'
import { Problem } from '@azukari/protocol/problem'
import { cardCommands } from './card-commands.ts'
import { licenceCommands } from './licence-commands.ts'
import { workCommands } from './work-commands.ts'

const folder = { type: 'string', what: 'the device’s folder: key, outbox, spool', default: './azukari-device' } as const
const broker = { type: 'string', what: 'the site’s broker: mqtt://HOST:PORT or mqtts://…' } as const
const board = {
  type: 'string',
  what: 'module that makes the board’s parts: a file, a package’s module, a name in @azukari/boards such as pc-kiosk, or a board as data (.json)',
} as const
const parts = { type: 'string', what: 'folder of parts that work on folders; else “parts” in the folder' } as const
const roles = ['camera', 'printer', 'terminal'] as const

const runOptions = {
  board: { ...board, required: true },
  broker: { ...broker, required: true },
  folder,
  site: { type: 'string', what: 'the site’s name', default: 'site' },
  claim: { type: 'string', what: 'one-time claim, until the device is enrolled' },
  role: { type: 'string', what: `some of ${roles.join(', ')}, with commas; else what the board’s parts are for` },
  parts,
  ca: { type: 'string', what: 'PEM file of the site’s CA, for mqtts' },
  language: { type: 'string', what: 'ja or en: what the display speaks' },
  log: { type: 'string', what: 'debug, info, warn, error or silent', default: 'info' },
} as const

export const commands: Record<string, Command> = {
  run: {
    what: 'Runs the board until it is told to stop (SIGINT, SIGTERM); what waits is kept and delivered next time.',
    options: runOptions,
    async run(values) {
      const wanted = rolesIn(optional(values, 'role'))
      const language = oneOf(values, 'language', ['ja', 'en'] as const)
      const { runDevice, pemFile, version } = await import('./main.ts')
      const { consoleLog } = await import('./adapters/console-log.ts')
      const running = await runDevice({
        board: text(values, 'board'),
        broker: text(values, 'broker'),
        folder: text(values, 'folder'),
        site: text(values, 'site'),
        claim: optional(values, 'claim'),
        parts: optional(values, 'parts'),
        ca: values['ca'] ? pemFile(text(values, 'ca')) : undefined,
        roles: wanted,
        language,
        version: version(),
        log: consoleLog('device', text(values, 'log')),
      })
      process.stdout.write(
        `${JSON.stringify({
          ready: 'device',
          id: running.runtime.identity.device,
          board: running.board.model,
          // Whoever reads the system's journal is not to work the board's page.
          page: process.env['JOURNAL_STREAM'] ? undefined : running.board.display?.address,
        })}\n`,
      )
      const { link } = running.runtime
      // Loaded only where systemd asks for it: it costs memory.
      using _ = process.env['NOTIFY_SOCKET']
        ? (await import('@azukari/protocol/adapters/watchdog')).watchdog({
            environment: process.env,
            alive: () => !link.stuck,
            log: consoleLog('watchdog', text(values, 'log')),
          })
        : undefined
      const again = Promise.withResolvers<'again'>()
      running.runtime.onRestart = () => again.resolve('again')
      const done = new AbortController()
      const why = await Promise.race([stopAsked(done.signal), again.promise])
      done.abort()
      await running.stop()
      if (why !== 'again') return undefined
      const { restartCode } = await import('@azukari/protocol/upgrade/launcher')
      return { json: { restart: true }, text: 'to be started again', exit: restartCode }
    },
  },

  launch: {
    what: 'Runs the board from the slot of its newest confirmed upgrade, tries new ones, and goes back when one does not work.',
    options: {
      ...runOptions,
      'health-minutes': {
        type: 'string',
        what: 'how long a new version has until it must have reached the site',
        default: '10',
      },
    },
    async run(values) {
      const { launchBoard } = await import('./upgrade/process-main.ts')
      const { consoleLog } = await import('./adapters/console-log.ts')
      const stop = new AbortController()
      const words = Object.keys(runOptions).flatMap((name) =>
        values[name] === undefined ? [] : [`--${name}`, String(values[name])],
      )
      const asked = stopAsked(stop.signal).then(() => stop.abort())
      await launchBoard(
        {
          folder: text(values, 'folder'),
          builtIn: process.argv[1]!,
          words: ['run', ...words],
          healthMs: integer(values, 'health-minutes', 1, 24 * 60) * 60_000,
          log: consoleLog('launcher', text(values, 'log')),
        },
        stop.signal,
      )
      stop.abort()
      await asked
      return undefined
    },
  },

  service: {
    what: 'Shows what makes this board start by itself: systemd unit, user, udev rules, mount, journal limits; --out / installs it.',
    options: {
      board: { ...board, default: '/etc/azukari/board.json' },
      broker: { ...broker, required: true },
      folder: { ...folder, default: '/var/lib/azukari-device' },
      site: { type: 'string', what: 'the site’s name', default: 'site' },
      node: { type: 'string', what: 'absolute path of Node; else the one that runs this' },
      out: { type: 'string', what: 'folder below which the files are written' },
    },
    async run(values) {
      const { boardService } = await import('./service-files.ts')
      const { answerFiles } = await import('@azukari/protocol/adapters/service-files')
      const files = boardService({
        node: optional(values, 'node') ?? process.execPath,
        program: import.meta.filename.replace(/commands(\.[jt]s)$/, 'cli$1'),
        board: text(values, 'board'),
        broker: text(values, 'broker'),
        site: text(values, 'site'),
        folder: text(values, 'folder'),
      })
      return answerFiles(files, optional(values, 'out'))
    },
  },

  page: {
    what: 'Says where the page of the running board is; --kiosk shows it in Chromium, full screen, and follows restarts.',
    options: {
      folder,
      parts,
      kiosk: { type: 'boolean', what: 'show it in Chromium until told to stop' },
      browser: { type: 'string', what: 'Chromium’s program', default: 'chromium' },
    },
    async run(values) {
      const { pageAddress, showPage } = await import('./adapters/local-page.ts')
      const directory = optional(values, 'parts') ?? `${text(values, 'folder')}/parts`
      if (values['kiosk'] !== true) {
        const page = pageAddress(directory)
        if (!page) throw new Problem('display.absent', `no board with a page runs in ${directory}`)
        return { json: { page }, text: page }
      }
      const stop = new AbortController()
      const asked = stopAsked(stop.signal).then(() => stop.abort())
      await showPage({ directory, browser: text(values, 'browser') }, stop.signal).finally(() => stop.abort())
      await asked
      return undefined
    },
  },

  status: {
    what: 'Says who the device is and what it still has to deliver; also while it runs.',
    options: { folder },
    async run(values) {
      const { statusOf } = await import('./doctor.ts')
      const status = await statusOf(text(values, 'folder'))
      const lines = [
        status.device ? `device ${status.device}` : 'no device yet: it is made at the first run',
        status.site ? `enrolled at ${status.site} (${status.region})` : 'not enrolled yet',
        status.running
          ? `running as process ${status.running.pid}; line ${status.running.link}${status.running.problem ? ` (${status.running.problem})` : ''}`
          : 'not running',
        `${status.outbox.rows} acts wait (${status.outbox.bytes} bytes)`,
        `saves: ${
          Object.entries(status.saves)
            .map(([state, n]) => `${n} ${state}`)
            .join(', ') || 'none'
        }`,
      ]
      return { json: status, text: lines.join('\n') }
    },
  },

  doctor: {
    what: 'Looks at the folder, the clock, the line, the board’s parts and whatever else is attached; says what is wrong, what to do, and what line the board’s file needs.',
    options: {
      folder,
      board,
      broker,
      parts,
      try: {
        type: 'boolean',
        what: 'use each part once: a picture that is thrown away, a line on paper, a card, a key; not while the device runs',
      },
      identify: {
        type: 'boolean',
        what: 'also ask serial lines that no part has what is on them: sends bytes to them',
      },
    },
    async run(values) {
      const { examine } = await import('./doctor.ts')
      const findings = await examine({
        folder: text(values, 'folder'),
        board: optional(values, 'board'),
        broker: optional(values, 'broker'),
        parts: optional(values, 'parts'),
        trying: values['try'] ? { say: (line) => process.stderr.write(`${line}\n`) } : undefined,
        attached: values['identify'] ? 'identify' : 'look',
      })
      const marks = { ok: 'ok      ', absent: 'absent  ', problem: 'PROBLEM ' }
      return {
        json: { ok: findings.every(({ state }) => state !== 'problem'), findings },
        exit: findings.some(({ state }) => state === 'problem') ? 1 : 0,
        text: findings
          .map(({ what, state, fact, todo }) => `${marks[state]}${what}: ${fact}${todo ? `\n        → ${todo}` : ''}`)
          .join('\n'),
      }
    },
  },

  ...cardCommands,
  ...workCommands,
  ...licenceCommands,
}

function optional(values: Values, name: string): string | undefined {
  return values[name] === undefined ? undefined : String(values[name])
}

function rolesIn(list: string | undefined): (typeof roles)[number][] | undefined {
  if (list === undefined) return undefined
  const named = list.split(',').map((one) => one.trim())
  const stranger = named.find((one) => !roles.some((role) => role === one))
  if (stranger !== undefined) throw new Problem('config.invalid', `--role ${stranger}: there are ${roles.join(', ')}`)
  return roles.filter((role) => named.includes(role))
}

function oneOf<T extends string>(values: Values, name: string, allowed: readonly T[]): T | undefined {
  const value = optional(values, name)
  if (value === undefined) return undefined
  const found = allowed.find((word) => word === value)
  if (!found) throw new Problem('config.invalid', `--${name} is one of ${allowed.join(', ')}`)
  return found
}

/** Resolves when the process is told to stop, or `done` says that nobody waits any more. */
function stopAsked(done?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    // Nothing else keeps a board without sockets or timers alive while it waits for a line.
    const alive = setInterval(() => undefined, 1 << 30)
    const stop = () => {
      clearInterval(alive)
      resolve()
    }
    process.once('SIGINT', stop)
    process.once('SIGTERM', stop)
    done?.addEventListener('abort', stop, { once: true })
  })
}
