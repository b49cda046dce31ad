/** Where a Unix socket in a folder is, however deep the folder lies. */
import { closeSync, openSync } from 'node:fs'
import { Problem } from '../problem.ts'

/** Of a socket's address, less its end (sun_path of Linux; others have a little less). */
const pathBytes = 103

export interface SocketAddress {
  path: string
  close(): void
}

/** A deep folder is reached through a descriptor, since a socket's address is short. @throws {Problem} `config.invalid` */
export function socketAddress(folder: string, name: string): SocketAddress {
  const path = `${folder}/${name}`
  if (Buffer.byteLength(path) <= pathBytes) return { path, close: () => undefined }
  if (process.platform !== 'linux')
    throw new Problem('config.invalid', `the path of ${path} is too long for a socket: choose a shorter --folder`)
  const descriptor = openSync(folder, 'r')
  return { path: `/proc/self/fd/${descriptor}/${name}`, close: () => closeSync(descriptor) }
}
