/**
 * A bundle as one piece of content (D6): the length of the signed manifest in four bytes, the manifest, and its files one
 * after the other in the manifest's order.
 */
import { decode } from '../codec.ts'
import { checker } from '../contract.ts'
import { peek1 } from '../cose.ts'
import type { ReadContent } from '../download.ts'
import { Problem } from '../problem.ts'
import type { BundleSource } from './bundle.ts'
import { UpgradeManifest, upgradeManifestMaxBytes, upgradeName } from './manifest.ts'

const lengthBytes = 4
const check = checker(UpgradeManifest, 'upgrade manifest')

/** Where a file lies in the content. */
export interface BundlePart {
  path: string | undefined
  at: number
  bytes: number
}

/** The content's head, and its parts in order; who signed is judged by whoever installs it. @throws {Problem} `upgrade.damaged` */
export function bundleParts(signed: Uint8Array): { head: Uint8Array; parts: BundlePart[]; sizeBytes: number } {
  const head = new Uint8Array(lengthBytes)
  new DataView(head.buffer).setUint32(0, signed.length)
  let at = lengthBytes
  const parts: BundlePart[] = [{ path: undefined, at, bytes: signed.length }]
  at += signed.length
  for (const { path, bytes } of filesOf(signed)) {
    parts.push({ path, at, bytes })
    at += bytes
  }
  return { head, parts, sizeBytes: at }
}

function filesOf(signed: Uint8Array): UpgradeManifest['files'] {
  try {
    return check(decode(peek1(signed).payload, { maxBytes: upgradeManifestMaxBytes })).files
  } catch (cause) {
    throw new Problem('upgrade.damaged', 'the manifest', { cause })
  }
}

/**
 * A bundle that is read out of such content, mostly forwards.
 * @param release SHA-256 of the signed manifest that is wanted
 */
export function streamedBundle(read: ReadContent, release: Uint8Array): BundleSource {
  let places = new Map<string, BundlePart>()
  const whole = async (at: number, length: number): Promise<Uint8Array> => {
    const pieces: Uint8Array[] = []
    for (let done = 0; done < length; ) {
      const piece = await read(at + done, length - done)
      if (piece.length === 0) throw new Problem('upgrade.truncated', 'the manifest')
      pieces.push(piece)
      done += piece.length
    }
    return new Uint8Array(Buffer.concat(pieces))
  }
  return {
    manifest: async () => {
      const head = await whole(0, lengthBytes)
      const length = new DataView(head.buffer).getUint32(0)
      if (length > upgradeManifestMaxBytes) throw new Problem('upgrade.damaged', 'the manifest')
      const signed = await whole(lengthBytes, length)
      if (!Buffer.from(upgradeName(signed)).equals(release)) throw new Problem('upgrade.damaged', 'the manifest')
      places = new Map(bundleParts(signed).parts.flatMap((part) => (part.path ? [[part.path, part] as const] : [])))
      return signed
    },
    read: async (path, at, length) => {
      const place = places.get(path)
      if (!place || at >= place.bytes) return new Uint8Array(0)
      return read(place.at + at, Math.min(length, place.bytes - at))
    },
  }
}
