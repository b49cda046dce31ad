/** The structured log (pino): one JSON line per event on standard error, ids and never names, secrets never. */
import type { Log } from '@azukari/protocol/ports'
import { destination, type Logger, pino } from 'pino'

const secretNames = ['pin', 'puk', 'secret', 'passphrase', 'claim', 'password', 'key', 'token', 'recoverySecret']

/** @param name what writes; the level comes from AZUKARI_LOG (debug, info, warn, error, silent) */
export function consoleLog(name: string, level: string = process.env['AZUKARI_LOG'] ?? 'info'): Log {
  return wrap(
    pino(
      { name, level, redact: { paths: secretNames.flatMap((secret) => [secret, `*.${secret}`]), censor: '***' } },
      destination({ fd: 2, sync: false }),
    ),
  )
}

function wrap(logger: Logger): Log {
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
    child: (fields) => wrap(logger.child(fields)),
  }
}
