/** The gateway's own key, made at first start and kept in a file that only its account can read. */
import type { KeyObject } from 'node:crypto'
import { makeDurableDirectory } from '@azukari/protocol/durable-directory'
import { generateKey, parseCoseKey, privateCoseKey } from '@azukari/protocol/keys'
import type { Files, Random } from '@azukari/protocol/ports'
import { isProblem } from '@azukari/protocol/problem'

/** Loads a private key, or makes one, durably. @throws {Problem} `storage.*`, `cose.*` for a file that holds no key */
export async function loadSiteKey(
  files: Files,
  path: string,
  random: Random,
  kind: 'ed25519' | 'x25519' = 'ed25519',
): Promise<KeyObject> {
  try {
    const file = await files.open(path, 'read')
    try {
      return parseCoseKey(await file.read(0, await file.size()))
    } finally {
      await file.close()
    }
  } catch (error) {
    if (!isProblem(error, 'object.unknown')) throw error
  }
  const key = generateKey(kind, random)
  const directory = path.slice(0, path.lastIndexOf('/')) || '.'
  await makeDurableDirectory(files, directory)
  const file = await files.open(`${path}.new`, 'create')
  await file.truncate(0)
  await file.write(0, privateCoseKey(key))
  await file.sync()
  await file.close()
  await files.rename(`${path}.new`, path)
  await files.syncDirectory(directory)
  return key
}
