/**
 * Signature checks ahead of their act (ARCHITECTURE §9, §11): that a sealed message opens, and that its signature holds
 * under a key, are facts about bytes alone, so they may be found out on other threads before the act's turn comes.
 * Whether that key is registered, and what the message may do, is decided in the act's transaction as ever.
 */
import type { ProblemCode } from '@azukari/protocol/problem'

/** What was found out about a sealed message. */
export type Checked =
  /** It opens and is signed by the key with that thumbprint. */
  | { is: 'proven'; signed: Uint8Array; kid: Uint8Array; payload: Uint8Array }
  /** It opens; the key is not known to whoever looked. */
  | { is: 'opened'; signed: Uint8Array }
  /** It would be refused with this, whatever is registered. */
  | { is: 'refused'; code: ProblemCode; detail: string | undefined }

export interface SignatureChecks {
  /**
   * Opens a sealed message and checks its signature. Never rejects: undefined when it was not looked at, because few
   * wait or a thread failed; whoever needs it then looks itself.
   * @throws {Problem} `service.busy` at once, when too many wait
   */
  check(sealed: Uint8Array, domain: Uint8Array): Promise<Checked | undefined>
  /** A registered key (COSE_Key, public), for the checks to come. */
  learn(key: Uint8Array): void
  /** What still waits is answered undefined. */
  close(): Promise<void>
}
