/** Passwords of operators (argon2id, RFC 9106) and one-time codes of their telephones (TOTP, RFC 6238). */
import { argon2, createHmac, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

export interface PasswordCost {
  /** KiB of memory. */
  memory: number
  passes: number
}

/** What guessing one password costs whoever has the database. */
export const passwordCost: PasswordCost = { memory: 65_536, passes: 3 }

const derive = promisify(argon2)

export async function verifierOf(password: string, salt: Uint8Array, cost: PasswordCost): Promise<Uint8Array> {
  const message = Buffer.from(password.normalize('NFKC'))
  const parameters = { message, nonce: salt, parallelism: 4, tagLength: 32, ...cost }
  return new Uint8Array(await derive('argon2id', parameters))
}

export function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

const stepMs = 30_000

/** The code of a step of 30 s. */
export function totpCode(secret: Uint8Array, step: number): string {
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(step))
  const mac = createHmac('sha1', secret).update(counter).digest()
  const at = mac[19]! & 15
  return String((mac.readUInt32BE(at) & 0x7fff_ffff) % 1_000_000).padStart(6, '0')
}

/** The step that a code belongs to, one step early or late; undefined when it is wrong, or not after the last one used. */
export function totpStep(secret: Uint8Array, code: string, nowMs: number, lastStep: number): number | undefined {
  const now = Math.floor(nowMs / stepMs)
  return [now - 1, now, now + 1].find(
    (step) => step > lastStep && isSame(Buffer.from(totpCode(secret, step)), Buffer.from(code)),
  )
}
