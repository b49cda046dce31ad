/** When the certificates of a site's folder end: a metric, and a line of doctor (D6). */
import type { Files } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { validityOf } from './validity.ts'

export interface Expiry {
  /** Of the file, without its ending. */
  certificate: string
  fromMs: number
  untilMs: number
}

/** Those that processes of this folder show, and the authority. @param folder of the keyring */
export async function expiries(files: Files, folder: string): Promise<Expiry[]> {
  const found: Expiry[] = []
  for (const name of await files.list(folder)) {
    if (!name.endsWith('.pem')) continue
    const file = await files.open(`${folder}/${name}`, 'read')
    try {
      const pem = new TextDecoder().decode(await file.read(0, await file.size()))
      found.push({ certificate: name.slice(0, -'.pem'.length), ...validityOf(pem) })
    } finally {
      await file.close()
    }
  }
  return found
}

/**
 * What doctor says of them.
 * @throws {Problem} `certificate.ending` when one has less than a sixth of its time left: it should have been renewed at a third
 */
export function judgeExpiries(all: readonly Expiry[], nowMs: number): string {
  const ending = all.find(({ fromMs, untilMs }) => nowMs > untilMs - (untilMs - fromMs) / 6)
  if (ending)
    throw new Problem(
      'certificate.ending',
      `${ending.certificate}: until ${new Date(ending.untilMs).toISOString().slice(0, 10)}`,
    )
  const next = all.toSorted((one, other) => one.untilMs - other.untilMs)[0]
  return next
    ? `the first of ${all.length} ends on ${new Date(next.untilMs).toISOString().slice(0, 10)}`
    : 'none yet: made at the first start'
}
