/** What every part of the rights service works with. */
import type { DirectSigner } from '@azukari/protocol/cose'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import type { ServiceStore } from '../../service/service.ts'
import type { ServiceKeys } from '../../service/service-keys.ts'
import type { MarkWork } from './marks/mark-work.ts'
import type { SealedPictures } from './sealed-pictures.ts'
import type { FingerprintIndex } from './works/fingerprints.ts'

export interface RightsShared {
  store: ServiceStore
  clock: Clock
  random: Random
  log: Log
  keys: ServiceKeys
  signer: DirectSigner
  marks: MarkWork
  pictures: SealedPictures
  /** What works look like; read when it is first asked for. */
  alike: () => Promise<FingerprintIndex>
}
