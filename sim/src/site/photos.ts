/** The photos of a folder, looked at before anything is started: what cannot be used is told at once. */
import { readdir } from 'node:fs/promises'
import { Problem } from '@azukari/protocol/problem'

const photoName = /\.jpe?g$/i
/** Names that are told of files that are left out. */
const namesTold = 5

/**
 * Names of the photos (JPEG, by their names), in the order in which the camera hands them out.
 * @param tell hears which other files are left out
 * @throws {Problem} `config.invalid` when it is no folder that can be read, or holds no photo
 */
export async function photosIn(folder: string, tell: (line: string) => void): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: NodeJS.ErrnoException) => {
    const why = { ENOENT: 'is not there', ENOTDIR: 'is no folder' }[String(cause.code)] ?? 'cannot be read'
    throw new Problem('config.invalid', `--photos ${folder} ${why}`, { cause })
  })
  const isPhoto = (entry: { name: string; isDirectory(): boolean }) =>
    photoName.test(entry.name) && !entry.isDirectory()
  const others = entries.filter((entry) => !isPhoto(entry)).map(({ name }) => name)
  const photos = entries.filter(isPhoto).map(({ name }) => name)
  if (photos.length === 0) throw new Problem('config.invalid', `--photos ${folder} holds no photo (.jpg, .jpeg)`)
  if (others.length > 0)
    tell(
      `Left out, no photos (.jpg, .jpeg): ${others.slice(0, namesTold).join(', ')}${others.length > namesTold ? ` and ${others.length - namesTold} more` : ''}`,
    )
  return photos.sort()
}
