/**
 * What happened to a replica, from the evidence (S11, ARCHITECTURE §7). Pure. Tampering is never guessed: it takes a signed
 * root that the server itself had signed for, a fresh signed reading that finds every checksum sound and another root, and
 * the same other bytes read again by placement. Whatever falls short of that is `unexplained`.
 */
import { sameBytes } from '@azukari/protocol/bytes'
import type { Examination } from '@azukari/protocol/examination'
import type { VerdictKind } from '@azukari/protocol/verdict'

/** How an audit came upon it. `listed`: only by what the server lists, so that a race with a move looks the same. */
export type Met = 'listed' | 'missing' | 'damaged' | 'repaired' | 'differs' | 'refused'

/** What the manifest on the medium is, against the one that placement has signed last. */
export type OnMedium =
  | { is: 'current' | 'foreign' | 'none' }
  /** Placement's own, of an earlier version or epoch of this very slot. */
  | { is: 'older'; root: Uint8Array }

export interface Evidence {
  met: Met
  identity: 'proven' | 'failed' | 'silent'
  /** Answers, after proving its key, that it will not; how often in a row. */
  refusals: number
  /** Its signed finding; absent when it gave none. */
  examination?: Examination | undefined
  /** The root that both placement's manifest and the server's receipt name; absent when these do not agree. */
  signedRoot?: Uint8Array | undefined
  onMedium: OnMedium
  /** Over the bytes as placement itself read them after the examination; absent when they could not be read or need not be. */
  readRoot?: Uint8Array | undefined
}

/** What is to be done next; `again`: ask later. */
export type Next = 'nothing' | 'again' | 'segments' | 'notes' | 'manifest' | 'remake' | 'contain'

export interface Judgement {
  /** Absent: there is nothing to judge, or not yet. */
  kind?: VerdictKind
  because: string
  next: Next
}

/** Refusals in a row before a server counts as refusing. */
export const refusalsMax = 3

export function judge(evidence: Evidence): Judgement {
  const { identity, refusals, examination, signedRoot, onMedium, met } = evidence
  if (identity === 'failed') return found('impostor', 'it does not prove its key', 'contain')
  if (identity === 'silent') return { because: 'it does not answer', next: 'again' }
  if (!examination)
    return refusals >= refusalsMax
      ? found('contained', 'it proves its key and refuses', 'contain')
      : { because: 'it gives no finding', next: 'again' }
  const { held, badParts, lostSegments, notesLost, root } = examination
  if (!held) return found('unexplained', 'nothing of it is left, and nothing says why', 'remake')
  if (!signedRoot) return found('unexplained', 'what was signed for does not agree with itself', 'remake')
  const sound = root !== undefined && sameBytes(root, signedRoot)
  if (onMedium.is === 'older' && root && sameBytes(root, onMedium.root))
    return sound
      ? { because: 'an older manifest of the same bytes', next: 'manifest' }
      : found('rollback', 'an older state that was once true stands in its place', 'remake')
  if (!sound) return judgeOther(evidence, examination, signedRoot)
  if (lostSegments > 0) return found('media', `${lostSegments} segments are lost beyond parity`, 'segments')
  if (notesLost) return found('media', 'the wrapped keys beside it are lost', 'notes')
  if (onMedium.is !== 'current')
    return found('unexplained', 'the bytes are right and the manifest is another', 'manifest')
  if (badParts > 0) return found('media', `${badParts} parts were bad and are restored`, 'nothing')
  return judgeSound(evidence, met, signedRoot)
}

/** The medium holds what was signed, without a fault. */
function judgeSound({ readRoot }: Evidence, met: Met, signedRoot: Uint8Array): Judgement {
  if (readRoot && !sameBytes(readRoot, signedRoot))
    return found('unexplained', 'it signs for the right bytes and sends others', 'remake')
  if (!readRoot) return { because: 'it could not be read', next: 'again' }
  if (met === 'differs') return found('unexplained', 'it differed once and is sound now', 'nothing')
  if (met === 'damaged') return found('media', 'it reported damage that it does not find again', 'nothing')
  if (met === 'repaired') return found('media', 'parity restored parts of it', 'nothing')
  return { because: 'it is sound', next: 'nothing' }
}

/** The medium does not hold what was signed. */
function judgeOther({ readRoot }: Evidence, examination: Examination, signedRoot: Uint8Array): Judgement {
  const { badParts, root } = examination
  if (!root) return found('media', `${badParts} parts are bad and hashes are lost`, 'remake')
  if (badParts > 0) return found('unexplained', 'it is changed, and its medium has faults too', 'remake')
  if (!readRoot) return found('unexplained', 'it is changed and cannot be read again', 'remake')
  if (sameBytes(readRoot, root))
    return found('tampering', 'every checksum is sound and the bytes are not those that were signed for', 'remake')
  return sameBytes(readRoot, signedRoot)
    ? found('unexplained', 'it signs for other bytes and sends the right ones', 'remake')
    : found('unexplained', 'it is changed and does not read the same twice', 'remake')
}

function found(kind: VerdictKind, because: string, next: Next): Judgement {
  return { kind, because, next }
}
