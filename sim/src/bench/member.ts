/** A member whose card is a key in memory: what is measured is the system, not a card's few hundred bytes a second. */
import { writeFile } from 'node:fs/promises'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { coseKey, generateKey, privateCoseKey, publicOf } from '@azukari/protocol/keys'
import { gatewayCommand } from '../site/processes.ts'

export interface BenchMember {
  /** Hex. */
  member: string
  /** Hex of the private COSE_Key that signs acts. */
  acts: string
  /** As its card would show it. */
  level: number
}

/** Makes a member and registers them at a site. */
export async function benchMember(folder: string): Promise<BenchMember> {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
  const auth = generateKey('ed25519', systemRandom)
  const acts = generateKey('ed25519', systemRandom)
  const agreement = generateKey('x25519', systemRandom)
  const member = hex(systemRandom.bytes(16))
  const level = 2
  const file = `${folder}/bench-member.json`
  await writeFile(
    file,
    JSON.stringify({
      memberId: member,
      number: '000000001',
      name: 'Bench',
      level,
      homeRegion: 'JP-13',
      authKey: hex(coseKey(publicOf(auth))),
      actsKey: hex(coseKey(publicOf(acts))),
      agreementKey: hex(coseKey(publicOf(agreement))),
    }),
  )
  await gatewayCommand(['member', 'add', '--folder', folder, file])
  return { member, acts: hex(privateCoseKey(acts)), level }
}
