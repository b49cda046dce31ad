/** The rights service on a database of its own, with files in memory and pictures marked in this thread: for its tests. */
import { systemRandom } from '@azukari/protocol/adapters/random'
import { drawTestPicture } from '@azukari/protocol/marks/test-picture'
import type { Clock } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import sharp from 'sharp'
import { createServiceKeys } from '../../service/service-keys.ts'
import { throwUnlisted } from '../../service/unlisted.ts'
import type { Database } from '../../storage/database.ts'
import { silent } from '../../test-contracts.ts'
import { markPicture, readFingerprint, readMark, tracePicture } from './marks/mark-picture.ts'
import type { MarkWork } from './marks/mark-work.ts'
import { sealedPictures } from './sealed-pictures.ts'
import { createRights, type Rights, type RightsOptions } from './service.ts'

export const testRandom = systemRandom
export const noonMs = Date.parse('2026-12-01T12:00:00Z')

/** A clock that stands until it is moved. */
export class StandingClock implements Pick<Clock, 'now' | 'monotonicMs' | 'timer' | 'sleep'> {
  nowMs = noonMs
  now = () => this.nowMs
  monotonicMs = () => this.nowMs - noonMs
  timer = () => ({ cancel: () => undefined, [Symbol.dispose]: () => undefined })
  sleep = () => new Promise<never>(() => undefined)
}

export const inThisThread: MarkWork = {
  mark: ({ bytes, work, sale, isUnmarked }) => markPicture(bytes, work, sale, isUnmarked),
  read: readMark,
  fingerprint: readFingerprint,
  trace: tracePicture,
  close: async () => undefined,
}

export interface TestRights {
  rights: Rights
  clock: StandingClock
  /** Files by their path in the site's folder. */
  files: Map<string, Uint8Array>
}

export async function openTestRights(database: Database, options: Partial<RightsOptions> = {}): Promise<TestRights> {
  const clock = new StandingClock()
  const files = new Map<string, Uint8Array>()
  const keys = options.keys ?? createServiceKeys(testRandom)
  const folder = {
    read: async (name: string) => files.get(name),
    write: async (name: string, bytes: Uint8Array) => void files.set(name, bytes),
    remove: async (name: string) => void files.delete(name),
  }
  const rights = await createRights({
    database,
    keys,
    marks: inThisThread,
    pictures: sealedPictures(folder, keys, testRandom),
    settings: {},
    members: async () => Promise.reject(new Problem('session.required')),
    offer: () => Promise.reject(new Problem('service.unavailable')),
    fetch: () => Promise.reject(new Problem('copy.unreachable')),
    clock,
    random: testRandom,
    log: silent,
    unlisted: throwUnlisted,
    ...options,
  })
  return { rights, clock, files }
}

/** A picture that can be marked, as a PNG: the same for a seed. */
export async function testPhoto(seed: number, width = 600, height = 450): Promise<Uint8Array> {
  const { rgba } = drawTestPicture(seed, width, height)
  return new Uint8Array(
    await sharp(rgba, { raw: { width, height, channels: 4 } })
      .removeAlpha()
      .png()
      .toBuffer(),
  )
}

export const testOffer = { priceMinor: 3_300, currency: 'JPY', maxDays: 365, maxUses: 3, resale: false } as const
