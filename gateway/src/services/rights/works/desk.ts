/**
 * Registers works (R1, R2): a mark that is there already is looked for, then the id is embedded, the registration signed and
 * written down, and the marked picture given back. The picture before it was marked is kept: copies for buyers are made of it.
 */
import { createHash } from 'node:crypto'
import type { Offer } from '@azukari/protocol/contracts/rights'
import { newWorkId, workChanceBytes } from '@azukari/protocol/marks/work-id'
import { isProblem, Problem } from '@azukari/protocol/problem'
import type { RightsShared } from '../shared.ts'
import { signRegistration } from './registration.ts'
import { factsOf, findWork, insertWork, type WorkFacts, type WorkRow, workOfFile, worksByTime } from './store.ts'

export interface NewWork {
  picture: Uint8Array
  title: string
  author: string
  offer: Offer
  published: readonly string[]
  /** Who registers it. */
  by: string
}

export interface RegisteredWork {
  work: string
  registeredMs: number
  width: number
  height: number
  psnrDb: number
  /** The marked picture. */
  marked: Uint8Array
  /** The signed registration. */
  record: Uint8Array
}

export interface WorkDesk {
  /** @throws {Problem} `rights.registered`, `mark.present`, `mark.unsuitable`, `mark.unreadable`, `service.busy`, `storage.*` */
  register(work: NewWork): Promise<RegisteredWork>
  list(): Promise<WorkFacts[]>
  /** @throws {Problem} `rights.work-unknown` */
  get(work: string): Promise<WorkFacts & { record: Uint8Array }>
}

/** Works that one answer lists. */
const listedMax = 10_000

export function workDesk({ store, clock, random, signer, marks, pictures }: RightsShared): WorkDesk {
  /** @throws {Problem} `rights.registered` */
  async function requireNew(original: Uint8Array): Promise<void> {
    const known = await workOfFile(store.sql, original)
    if (known !== undefined) throw new Problem('rights.registered', known)
  }

  async function mark(picture: Uint8Array, work: string) {
    try {
      return await marks.mark({ bytes: picture, work: BigInt(`0x${work}`) })
    } catch (error) {
      if (!isProblem(error, 'mark.present')) throw error
      const present = error.data?.['work']
      // A mark that is registered here says whose it is; any other may be forged, and is named as it is.
      if (typeof present === 'string' && (await findWork(store.sql, present)))
        throw new Problem('rights.registered', present)
      throw error
    }
  }

  return {
    async register({ picture, title, author, offer, published, by }) {
      const original = sha256(picture)
      await requireNew(original)
      const work = newWorkId(signer.kid, random.bytes(workChanceBytes))
      const { bytes: marked, width, height, psnrDb } = await mark(picture, work)
      await pictures.keep('master', work, picture)
      const registeredMs = clock.now()
      const places = [...new Set(published)]
      const record = signRegistration(
        { work, title, author, offer, published: places, original, marked: sha256(marked), registeredMs, by },
        signer,
      )
      const row: WorkRow = {
        id: work,
        title,
        author,
        price: offer.priceMinor,
        currency: offer.currency,
        max_days: offer.maxDays,
        max_uses: offer.maxUses,
        resale: offer.resale ? 1 : 0,
        width,
        height,
        original,
        marked: sha256(marked),
        record,
        registered_ms: registeredMs,
        made_by: by,
      }
      const isNew = await store.transaction(({ sql }) => insertWork(sql, row, places))
      // Somebody else was faster with the same picture.
      if (!isNew) {
        await pictures.drop('master', work)
        await requireNew(original)
      }
      return { work, registeredMs, width, height, psnrDb, marked, record }
    },

    async list() {
      const facts: WorkFacts[] = []
      for (const row of await worksByTime(store.sql, listedMax)) facts.push(await factsOf(store.sql, row))
      return facts
    },

    async get(work) {
      const row = await findWork(store.sql, work)
      if (!row) throw new Problem('rights.work-unknown', work)
      return { ...(await factsOf(store.sql, row)), record: row.record }
    },
  }
}

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest())
}
