/** Directories that a power cut cannot take back. */
import type { Files } from './ports.ts'
import { isProblem } from './problem.ts'

/**
 * Makes a directory and sees to it that its name outlasts a power cut: a file synced in a directory whose own name is
 * not durable is lost with it. All directories above are synced too, as far as this process may open them, because an
 * earlier process may have made them and died before it synced them.
 * @throws {Problem} `storage.*`
 */
export async function makeDurableDirectory(files: Files, path: string): Promise<void> {
  await files.makeDirectory(path)
  let below = path
  for (let at = parentOf(below); at !== below; at = parentOf(below)) {
    try {
      await files.syncDirectory(at)
    } catch (error) {
      // Far above, the directories are the system's own.
      if (below === path || !isProblem(error)) throw error
      return
    }
    below = at
  }
}

function parentOf(path: string): string {
  const cut = path.lastIndexOf('/')
  if (cut > 0) return path.slice(0, cut)
  return cut === 0 ? '/' : '.'
}
