/** A device's next key (D6): believed when the present one signed it, and it has signed that it is meant. */
import { Buffer } from 'node:buffer'
import { decode, encodeDeterministic } from '@azukari/protocol/codec'
import { checker } from '@azukari/protocol/contract'
import { Rotation, rotationDomain } from '@azukari/protocol/contracts/fleet'
import { verify1 } from '@azukari/protocol/cose'
import { coseKey, kindOf, parseCoseKey, publicOf, thumbprint } from '@azukari/protocol/keys'
import { Problem } from '@azukari/protocol/problem'
import type { Device } from './devices.ts'

const checkRotation = checker(Rotation, 'rotation')
const domain = new TextEncoder().encode(rotationDomain)

/** The COSE_Key that replaces the device's. @throws {Problem} `cose.*`, `cbor.*`, `message.invalid` */
export function nextKeyOf({ id, key }: Pick<Device, 'id' | 'key'>, site: string, signed: Uint8Array): Uint8Array {
  const rotation = checkRotation(decode(verify1(signed, () => key, domain).payload))
  if (rotation.device !== id || rotation.site !== site) throw new Problem('cose.wrong-audience', 'another device’s key')
  const next = parseCoseKey(rotation.key)
  if (kindOf(next) !== 'ed25519') throw new Problem('cose.wrong-algorithm', 'a device’s key is Ed25519')
  const { payload } = verify1(rotation.proof, () => next, domain)
  if (!Buffer.from(payload).equals(encodeDeterministic([site, id, thumbprint(key)])))
    throw new Problem('cose.wrong-audience', 'the next key did not sign for this device')
  return coseKey(next.type === 'private' ? publicOf(next) : next)
}
