/** Modules and inputs of units, as they came by download: named by their hash, checked, kept for the next unit that has the same. */
import { createHash } from 'node:crypto'
import { hex, sameBytes } from '@azukari/protocol/bytes'
import { workInput, workModule } from '@azukari/protocol/contracts/work'
import { Problem } from '@azukari/protocol/problem'
import type { DownloadKind, Downloads, KeptDownload } from '../downloads/downloads.ts'

const mebibyte = 2 ** 20
/** What a board takes of them. */
export const workDownloads: Readonly<Record<string, DownloadKind>> = {
  [workModule]: { maxBytes: 4 * mebibyte, maxFiles: 8 },
  [workInput]: { maxBytes: 64 * mebibyte, maxFiles: 8 },
}

export class WorkBlobs {
  readonly #downloads: Downloads

  constructor(downloads: Downloads) {
    this.#downloads = downloads
  }

  /**
   * The bytes with this hash, once they are here.
   * @param ask has them sent; called when they are neither here nor on their way in this run
   */
  async get(kind: string, hash: Uint8Array, ask: () => Promise<void>, signal: AbortSignal): Promise<Uint8Array> {
    const name = hex(hash)
    const { promise: came, resolve } = Promise.withResolvers<void>()
    const off = this.#downloads.onWhole((kept) => {
      if (kept.kind === kind && kept.name === name) resolve()
    })
    const { promise: stopped, reject } = Promise.withResolvers<never>()
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    stopped.catch(() => undefined)
    try {
      signal.throwIfAborted()
      const held = await this.#held(kind, name, hash)
      if (held) return held
      await ask()
      await Promise.race([came, stopped])
      const fetched = await this.#held(kind, name, hash)
      if (!fetched) throw new Problem('transfer.bad-root', name)
      return fetched
    } finally {
      off()
      signal.removeEventListener('abort', abort)
    }
  }

  async #held(kind: string, name: string, hash: Uint8Array): Promise<Uint8Array | undefined> {
    const kept = (await this.#downloads.kept(kind)).find((one) => one.name === name)
    if (!kept) return undefined
    const bytes = await this.#read(kept)
    if (sameBytes(createHash('sha256').update(bytes).digest(), hash)) return bytes
    await this.#downloads.remove(kept.transfer)
    return undefined
  }

  #read({ transfer, sizeBytes }: KeptDownload): Promise<Uint8Array> {
    return this.#downloads.read(transfer, 0, sizeBytes)
  }
}
