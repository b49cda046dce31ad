/** Whether this process may use a device's node, and what a stable name of it leads to. */
import { accessSync, constants, realpathSync } from 'node:fs'

/** Why a node cannot be read and written: the system's code, such as EACCES; undefined when it can. */
export function whyNotOpen(path: string): string | undefined {
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error)
  }
}

/** The node that a name stands for; the name itself when it leads nowhere. */
export function nodeOf(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}
