/**
 * Fetches an object with nothing but the member's card (S10): from either data server, whose key the card knows, through
 * a gateway that sees sealed frames only. What arrives is unsealed here with the card's data key and checked whole.
 */
import { createHash } from 'node:crypto'
import { carryFrame } from '@azukari/protocol/contracts/read'
import type { Conditions, ReplicaConditions } from '@azukari/protocol/contracts/save'
import type { Clock, Log, Random } from '@azukari/protocol/ports'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { openReading } from '@azukari/protocol/read-client'
import { type SealAlgorithm, type Slot, segmentCount, Unsealer, unsealStream } from '@azukari/protocol/sealed'
import { backoffMs } from '../backoff.ts'
import type { Link } from '../link.ts'
import type { PresentCard } from './presence.ts'

export interface FetchPorts {
  link: Link
  clock: Clock
  random: Random
  log: Log
  device: string
}

export interface Fetched {
  bytes: Uint8Array
  /** Which replica served. */
  slot: number
  server: string
}

export interface FetchProgress {
  server: string
  region: string
  segments: number
  of: number
}

/** Tries of one frame before the other replica is asked. */
const triesPerFrame = 3
/** Largest object that is printed or shown: it must fit in memory here. */
const fetchMaxBytes = 64 * 1024 * 1024

/**
 * @param order which slot to ask first
 * @throws {Problem} the problem of the last replica when neither served: `server.*`, `replica.*`, `card.rejected`, `link.*`
 */
export async function fetchObject(
  ports: FetchPorts,
  card: PresentCard,
  conditions: Conditions,
  onProgress: (progress: FetchProgress) => void = () => {},
  order: readonly number[] = [1, 2],
): Promise<Fetched> {
  if (conditions.sizeBytes > fetchMaxBytes) throw new Problem('transfer.too-large', `more than ${fetchMaxBytes} bytes`)
  let last: unknown
  for (const slot of order) {
    const replica = conditions.replicas.find((candidate) => candidate.slot === slot)
    if (!replica) continue
    try {
      const bytes = await fetchReplica(ports, card, conditions, replica, onProgress)
      return { bytes, slot, server: replica.server }
    } catch (error) {
      // A failed authentication closes the line (S10); anything else, and the other replica serves.
      if (
        !isProblem(error) ||
        card.signal.aborted ||
        error.code === 'card.rejected' ||
        error.code === 'replica.foreign'
      )
        throw error
      ports.log.info('a replica did not serve', { server: replica.server, code: error.code })
      last = error
    }
  }
  throw last ?? new Problem('replica.missing')
}

async function fetchReplica(
  ports: FetchPorts,
  card: PresentCard,
  conditions: Conditions,
  replica: ReplicaConditions,
  onProgress: (progress: FetchProgress) => void,
): Promise<Uint8Array> {
  const { object, version, sizeBytes, sha256 } = conditions
  const slot = replica.slot as Slot
  const reading = await openReading(
    { object, version, slot, device: ports.device, serverKey: replica.serverKey },
    {
      carry: (frame) => carry(ports, card.signal, replica.server, frame),
      card: cardSigner(card),
      random: ports.random,
    },
  )
  try {
    const count = segmentCount(sizeBytes)
    if (reading.manifest.segments !== count)
      throw new Problem('replica.damaged', 'the replica has another length than the card says')
    const unsealer = new Unsealer(
      { object, version, slot },
      {
        algorithm: replica.algorithm as SealAlgorithm,
        keyId: replica.keyId,
        dataKey: replica.dataKey,
        prefix: replica.prefix,
      },
      count,
    )
    const bytes = new Uint8Array(sizeBytes)
    let at = 0
    let segments = 0
    for await (const plain of unsealStream(unsealer, count, reading.segments(0, count))) {
      bytes.set(plain, at)
      at += plain.length
      onProgress({ server: replica.server, region: replica.region, segments: ++segments, of: count })
    }
    if (at !== sizeBytes || !createHash('sha256').update(bytes).digest().equals(sha256))
      throw new Problem('replica.damaged', 'what came is not what was kept')
    return bytes
  } finally {
    await reading.close().catch(() => undefined)
  }
}

/** A frame may be asked again as it is: the data server answers the same. */
async function carry(
  { link, clock, random }: FetchPorts,
  signal: AbortSignal,
  server: string,
  frame: Uint8Array,
): Promise<Uint8Array> {
  for (let failures = 1; ; failures++) {
    try {
      return (await link.call(carryFrame, { server, frame }, { signal })).frame
    } catch (error) {
      const again =
        isProblem(error) &&
        (error.code.startsWith('link.') || error.code === 'session.unknown' || error.code === 'service.busy') &&
        failures < triesPerFrame &&
        !signal.aborted
      if (!again) throw error
      await clock.sleep(backoffMs(failures, random), signal)
    }
  }
}

function cardSigner(card: PresentCard) {
  const signer = card.client.identify(card.signal)
  return {
    algorithm: signer.algorithm,
    kid: signer.kid,
    sign: (toBeSigned: Uint8Array) => card.use(async () => signer.sign(toBeSigned)),
  }
}
