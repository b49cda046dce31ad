/** What the parts of the service share. */
import type { KeyObject } from 'node:crypto'
import { sameBytes } from '@azukari/protocol/bytes'
import type { DirectSigner } from '@azukari/protocol/cose'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import type { ServiceStore } from '../../service/service.ts'
import type { WorkSettings } from './settings.ts'

export interface WorkContext {
  store: ServiceStore
  clock: Clock
  random: Random
  log: Log
  settings: WorkSettings
  /** With which it signs units. */
  signer: DirectSigner
  /** Something may be to do: a job may have ended. */
  wake(): void
}

export interface WorkKeys {
  signing: KeyObject
  agreement: KeyObject
}

/** @throws {Problem} `cose.wrong-audience` for what is signed for somebody else */
export function requireAddressed({ signer }: Pick<WorkContext, 'signer'>, audience: Uint8Array): void {
  if (!sameBytes(audience, signer.kid)) throw new Problem('cose.wrong-audience')
}
