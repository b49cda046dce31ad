/** Media that are plugged in and pulled out of this mount namespace: file systems in files on loop devices, and tmpfs. */
import { spawnSync } from 'node:child_process'
import { closeSync, copyFileSync, mkdirSync, openSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { Problem } from '@azukari/protocol/problem'

const mebibyte = 1024 ** 2

function system(command: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8', timeout: 30_000 })
  if (status !== 0) throw new Problem('service.unavailable', `${command} ${args.join(' ')}: ${error ?? stderr.trim()}`)
}

/** A mount point, which stays when the medium goes. */
export class Socket {
  static readonly #plugged = new Set<Socket>()
  readonly at: string
  /** Stands for the device node: it is there as long as something is plugged in. */
  readonly device: string

  constructor(folder: string, name = 'socket') {
    this.at = join(folder, name)
    this.device = join(folder, `${name}.device`)
    mkdirSync(this.at, { recursive: true })
  }

  /** Plugs a medium in; one with a file system that the kernel does not understand stays unmounted. */
  plug(medium: { mountArgs: readonly string[] }, options = 'rw'): void {
    closeSync(openSync(this.device, 'w'))
    system('mount', '-o', options, ...medium.mountArgs, this.at)
    Socket.#plugged.add(this)
  }

  /** Pulls it out: at once, whatever is being done with it. */
  pull(): void {
    rmSync(this.device, { force: true })
    system('umount', '-l', this.at)
    Socket.#plugged.delete(this)
  }

  /** Those that were plugged in last are pulled out first: one may lie on another. */
  static pullAll(): void {
    for (const socket of [...Socket.#plugged].reverse()) socket.pull()
  }

  remount(options: string): void {
    system('mount', '-o', `remount,${options}`, this.at)
  }
}

/** An ext4 in a file, on a loop device. */
export class StickImage {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  static format(path: string, sizeMiB = 8): StickImage {
    closeSync(openSync(path, 'w'))
    truncateSync(path, sizeMiB * mebibyte)
    system('mkfs.ext4', '-q', '-F', path)
    return new StickImage(path)
  }

  /** Something that no file system begins with. */
  static garbage(path: string): StickImage {
    closeSync(openSync(path, 'w'))
    truncateSync(path, mebibyte)
    return new StickImage(path)
  }

  get mountArgs(): readonly string[] {
    return ['-o', 'loop,errors=remount-ro', this.#path]
  }

  /** What is on the medium at this moment and would be after a power cut: what was only in memory is not. */
  asAfterPowerCut(path: string): StickImage {
    copyFileSync(this.#path, path)
    // As a system does before it mounts what was not unmounted; 0 is whole, 1 is mended.
    const { status, stdout } = spawnSync('e2fsck', ['-p', path], { encoding: 'utf8', timeout: 30_000 })
    if (status !== 0 && status !== 1) throw new Problem('service.unavailable', `e2fsck: ${status} ${stdout}`)
    return new StickImage(path)
  }
}

/** Memory of the machine as a medium of a set size: gone when it is pulled out. */
export function tmpfs(sizeBytes: number): { mountArgs: readonly string[] } {
  return { mountArgs: ['-o', `size=${sizeBytes}`, '-t', 'tmpfs', 'none'] }
}
