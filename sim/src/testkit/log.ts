/** The devices' log in demos: warnings and errors only, on standard error, when AZUKARI_LOG asks for it. */
import type { Log } from '@azukari/protocol/ports'

const loud = process.env['AZUKARI_LOG'] !== undefined

function line(level: string) {
  return (message: string, fields?: Record<string, unknown>) => {
    if (loud) console.error(level, message, fields ? JSON.stringify(fields) : '')
  }
}

export const quietLog: Log = {
  debug: () => undefined,
  info: line('info'),
  warn: line('warn'),
  error: line('error'),
  child: () => quietLog,
}
