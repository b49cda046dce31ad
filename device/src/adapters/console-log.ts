/** The device's structured log: one JSON line per event on standard error. Made for boards: no library, no queue. */
import type { Log } from '@azukari/protocol/ports'

const levels = ['debug', 'info', 'warn', 'error', 'silent']
const secretNames = new Set(['pin', 'puk', 'secret', 'passphrase', 'claim', 'password', 'key', 'token'])

/** @param level the least that is written; anything unknown counts as `info` */
export function consoleLog(name: string, level = 'info', write = (line: string) => process.stderr.write(line)): Log {
  const least = levels.includes(level) ? levels.indexOf(level) : 1
  const make = (bound: Record<string, unknown>): Log => {
    const at = (rank: number) => (message: string, fields?: Record<string, unknown>) => {
      if (rank < least) return
      const line = { time: Date.now(), level: levels[rank], name, message, ...bound, ...fields }
      write(`${JSON.stringify(line, (key, value) => (secretNames.has(key) ? '***' : value))}\n`)
    }
    return {
      debug: at(0),
      info: at(1),
      warn: at(2),
      error: at(3),
      child: (fields) => make({ ...bound, ...fields }),
    }
  }
  return make({})
}
