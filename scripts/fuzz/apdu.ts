/** Commands to the card, damaged: it always answers, opens for its PIN only, and never gives a key away or changes a file. */

import { CardApplet } from '@azukari/device/applet/applet'
import { issueCard } from '@azukari/device/applet/issue'
import { CardMemory } from '@azukari/device/applet/memory'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { type Command, chain, decodeCommand, encodeCommand, instructions } from '@azukari/protocol/card/apdu'
import { cardFiles, cardFolders, cardKeys, pinBlock, pinRules } from '@azukari/protocol/card/layout'
import { decodeFile } from '@azukari/protocol/card/slots'
import { coseKey, generateKey, publicOf } from '@azukari/protocol/keys'
import { isProblem } from '@azukari/protocol/problem'
import fc from 'fast-check'
import { campaign, damaged, damages, type FuzzReport } from './damage.ts'

export const name = 'apdu'

const [pin, puk] = ['2468', '12345678']
const files = Object.values(cardFiles)
const ids = [...files, ...Object.values(cardFolders)].map(({ fid }) => Uint8Array.of(fid >> 8, fid & 255))
const names = Object.values(cardFolders).flatMap(({ aid }) => (aid ? [aid] : []))
const utf8 = new TextEncoder()

const ins = instructions
const command = (ins: number, p1: number, p2: number, data?: Uint8Array, le?: number): Command => ({
  cla: 0,
  ins,
  p1,
  p2,
  ...(data && { data }),
  ...(le && { le }),
})
const block = fc.constantFrom(pin, puk, '0000', '9999').map((text) => pinBlock(text)!)
const valid: fc.Arbitrary<Command> = fc.oneof(
  fc.constantFrom(...ids).map((id) => command(ins.select, 0, 0x0c, id)),
  fc.constantFrom(...names).map((aid) => command(ins.select, 4, 0, aid, 256)),
  fc
    .tuple(fc.constantFrom(...files), fc.nat(255), fc.integer({ min: 1, max: 65_536 }))
    .map(([{ sfi }, offset, le]) => command(ins.readBinary, 0x80 | sfi, offset, undefined, le)),
  fc.tuple(fc.nat(0x7fff), fc.nat(255)).map(([at, le]) => command(ins.readBinary, at >> 8, at & 255, undefined, le)),
  fc
    .tuple(fc.nat(0x7fff), fc.uint8Array({ minLength: 1, maxLength: 300 }))
    .map(([at, data]) => command(ins.updateBinary, at >> 8, at & 255, data)),
  block.map((data) => command(ins.verify, 0, pinRules.reference, data)),
  fc.tuple(block, block).map(([a, b]) => command(ins.changeReferenceData, 0, pinRules.reference, join(a, b))),
  fc.tuple(block, block).map(([a, b]) => command(ins.resetRetryCounter, 0, pinRules.reference, join(a, b))),
  fc.constantFrom(8, 16, 32).map((le) => command(ins.getChallenge, 0, 0, undefined, le)),
  fc.uint8Array({ minLength: 1, maxLength: 80 }).map((data) => command(ins.externalAuthenticate, 0, 0, data)),
  fc
    .constantFrom(...Object.values(cardKeys))
    .map(({ template, reference }) =>
      command(ins.manageSecurityEnvironment, 0x41, template, Uint8Array.of(0x80, 1, 1, 0x84, 1, reference)),
    ),
  fc
    .constantFrom('azukari/session/1', 'azukari/offer/1', 'azukari/birth/1')
    .map((domain) => command(ins.internalAuthenticate, 0, 0, utf8.encode(domain), 256)),
  fc.uint8Array({ maxLength: 600 }).map((data) => command(ins.performSecurityOperation, 0x9e, 0x9a, data, 256)),
  fc.uint8Array({ maxLength: 200 }).map((data) => command(ins.performSecurityOperation, 0x80, 0x86, data, 256)),
  fc.constant(command(ins.getResponse, 0, 0, undefined, 256)),
)
const step = fc.record({ command: valid, extended: fc.boolean(), list: damages, reset: fc.nat(20) })

function join(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

/** As one APDU, or as a chain where it does not fit. */
function encoded(command: Command, extended: boolean): Uint8Array[] {
  try {
    return [encodeCommand(command, extended)]
  } catch (error) {
    if (!isProblem(error)) throw error
  }
  const le = command.le && Math.min(command.le, 256)
  return chain({ ...command, ...(le && { le }) }).map((part) => encodeCommand(part))
}

export function run(seed: number, seconds: number): Promise<FuzzReport> {
  const random = systemRandom
  const issued = issueCard({
    kind: 'ed25519',
    member: { id: random.bytes(16), number: 'A-000123', name: '預かり 花子' },
    level: 2,
    homeRegion: 'JP-13',
    pin,
    puk,
    providerKey: coseKey(publicOf(generateKey('ed25519', random))),
    random,
  }).memory
  const image = issued.save()
  const content = (memory: CardMemory) =>
    Object.keys(cardFiles).map((file) => memory.file(file as keyof typeof cardFiles))
  const before = Buffer.concat(content(issued))
  const secrets = Object.values(issued.keys).map((key) => key.export({ format: 'der', type: 'pkcs8' }).subarray(-32))
  const openers = [pin, puk].map((text) => Buffer.from(pinBlock(text)!))
  return campaign(
    fc.array(step, { minLength: 1, maxLength: 14 }),
    (steps, count) => {
      const memory = CardMemory.load(image)
      const applet = new CardApplet(memory, random)
      // Who has sent PIN or PUK may have set another PIN. Parts of a chain count together.
      let sent = Buffer.alloc(0)
      for (const { command, extended, list, reset } of steps) {
        if (reset === 0) {
          applet.reset()
          if (applet.pinVerified) throw new Error('the PIN outlasts a reset')
        }
        for (const apdu of encoded(command, extended)) {
          const bytes = damaged(apdu, list)
          const decoded = decodeCommand(bytes)
          if (decoded?.data) sent = Buffer.concat([sent, decoded.data])
          const answer = applet.transmit(bytes)
          if (answer.length < 2) throw new Error('no answer')
          if (secrets.some((secret) => Buffer.from(answer).includes(secret))) throw new Error('a private key came out')
          count(`sw ${Buffer.from(answer.subarray(-2)).toString('hex').slice(0, 2)}`)
        }
        if (applet.pinVerified && !openers.some((opener) => sent.includes(opener)))
          throw new Error('opened without PIN')
        if (applet.pinVerified) count('opened')
      }
      if (!before.equals(Buffer.concat(content(memory)))) throw new Error('a file was changed without the provider')
      for (const [i, bytes] of content(memory).entries())
        if (decodeFile(files[i]!, bytes).length !== files[i]!.slots) throw new Error('slots')
      CardMemory.load(memory.save())
    },
    seed,
    seconds,
  )
}
