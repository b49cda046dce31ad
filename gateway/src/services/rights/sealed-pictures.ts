/**
 * Pictures that the service must keep and nobody else may see: works before they were marked, and copies that were found. Each is a
 * file in the site's folder, sealed under the service's keystore.
 */
import { decrypt0, encrypt0 } from '@azukari/protocol/cose'
import type { Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { atRestKeyOf, type ServiceKeys } from '../../service/service-keys.ts'
import type { SiteFolder } from '../../site-folder.ts'

/** `master`: a work before it was marked, by its id. `found`: a suspect copy, by its case. */
export type PictureKind = 'master' | 'found'

export interface SealedPictures {
  /** Durable when it resolves. */
  keep(kind: PictureKind, name: string, bytes: Uint8Array): Promise<void>
  /** @throws {Problem} `storage.failed` when it is not there, `cose.decrypt-failed` */
  read(kind: PictureKind, name: string): Promise<Uint8Array>
  /** Absent is not an error. */
  drop(kind: PictureKind, name: string): Promise<void>
}

export function sealedPictures(
  folder: Pick<SiteFolder, 'read' | 'write' | 'remove'>,
  keys: ServiceKeys,
  random: Random,
): SealedPictures {
  const path = (kind: PictureKind, name: string) => `rights/pictures/${kind}-${name}.cose`
  const key = (kind: PictureKind) => atRestKeyOf('rights', keys, `picture/${kind}`)
  const aad = (kind: PictureKind, name: string) => new TextEncoder().encode(`azukari/rights-picture/1/${kind}/${name}`)
  return {
    keep: (kind, name, bytes) =>
      folder.write(path(kind, name), encrypt0(bytes, key(kind), random.bytes(12), aad(kind, name))),
    drop: (kind, name) => folder.remove(path(kind, name)),
    async read(kind, name) {
      const sealed = await folder.read(path(kind, name))
      if (!sealed) throw new Problem('storage.failed', `${path(kind, name)} is missing: put it back from a copy`)
      return decrypt0(sealed, key(kind), aad(kind, name))
    },
  }
}
