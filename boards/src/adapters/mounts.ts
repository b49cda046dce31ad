/** What the system has mounted where, as the kernel tells this process (proc(5), mountinfo). */
import { readFileSync } from 'node:fs'

export interface Mount {
  /** Another one for each time that something is mounted. */
  id: number
  at: string
  type: string
  /** Device node, as a rule. */
  source: string
  isReadOnly: boolean
}

/** All mounts, in the order in which they were made; empty where the kernel tells nothing. */
export function mounts(): Mount[] {
  let text: string
  try {
    text = readFileSync('/proc/self/mountinfo', 'utf8')
  } catch {
    return []
  }
  return text.split('\n').flatMap((line) => {
    const [own, rest] = line.split(' - ')
    const [id, , , , at, options] = own?.split(' ') ?? []
    const [type, source] = rest?.split(' ') ?? []
    if (!id || !at || !options || !type || !source) return []
    return [
      {
        id: Number(id),
        at: unescaped(at),
        type,
        source: unescaped(source),
        isReadOnly: options.split(',').includes('ro') || (rest?.split(' ')[2] ?? '').split(',').includes('ro'),
      },
    ]
  })
}

/** What is mounted at a path itself; the last one hides those before it. */
export function mountAt(path: string): Mount | undefined {
  return mounts().findLast(({ at }) => at === path)
}

/** Blanks and the like are in octal. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}
