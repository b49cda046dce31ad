import { readFileSync } from 'node:fs'
import t from 'tap'
import { signerOf } from './cose.ts'
import { coseKey, generateKey, publicOf, thumbprint } from './keys.ts'
import {
  type Manifest,
  manifestHash,
  openManifest,
  openReplicaReceipt,
  peekManifest,
  signManifest,
  signReplicaReceipt,
} from './manifest.ts'
import { sealedFormat } from './sealed.ts'

const vector = JSON.parse(readFileSync(new URL('../vectors/manifest.json', import.meta.url), 'utf8')) as Record<
  string,
  string
>
/** A key whose private bytes are all `byte`: for vectors only. */
const keyOf = (byte: number) => generateKey('ed25519', { bytes: (n) => new Uint8Array(n).fill(byte) })
const placement = keyOf(1)
const server = keyOf(2)
const card = keyOf(3)
const filled = (byte: number, bytes: number) => new Uint8Array(bytes).fill(byte)

const manifest: Manifest = {
  format: sealedFormat,
  object: filled(4, 16),
  version: 2,
  previous: filled(5, 32),
  epoch: 7,
  slot: 2,
  server: 'tokyo-1',
  serverKey: thumbprint(server),
  algorithm: 'ChaCha20/Poly1305',
  keyId: filled(6, 8),
  segmentBytes: 65_536,
  segments: 2,
  plainBytes: 70_000,
  sealedBytes: 70_032,
  root: filled(7, 32),
  owner: { member: filled(8, 16), key: coseKey(publicOf(card)) },
  createdMs: 1_760_000_000_000,
}
const { object, version, slot, epoch, root, sealedBytes } = manifest
const receipt = { object, version, slot, epoch, root, sealedBytes, server: 'tokyo-1', atMs: 1_760_000_001_000 }
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

t.test('S7: golden vectors of manifest and receipt', async (t) => {
  const signed = signManifest(manifest, signerOf(placement))
  t.equal(hex(signed), vector['manifest'])
  t.equal(hex(manifestHash(signed)), vector['hash'])
  t.equal(hex(signReplicaReceipt(receipt, signerOf(server))), vector['receipt'])
  t.same(
    openManifest(signed, () => publicOf(placement)),
    manifest,
  )
  t.same(peekManifest(signed), manifest)
})

t.test(
  'S7: a manifest that contradicts itself or is not placement’s, and a receipt for something else, are refused',
  async (t) => {
    t.throws(() => signManifest({ ...manifest, segments: 3 }, signerOf(placement)), { code: 'message.invalid' })
    t.throws(() => signManifest({ ...manifest, sealedBytes: 70_000 }, signerOf(placement)), { code: 'message.invalid' })
    const signed = signManifest(manifest, signerOf(placement))
    t.throws(() => openManifest(signed, () => publicOf(card)), { code: 'cose.bad-signature' })
    t.throws(() => openManifest(signed, () => undefined), { code: 'cose.unknown-key' })
    const said = signReplicaReceipt(receipt, signerOf(server))
    t.same(openReplicaReceipt(said, publicOf(server), manifest), receipt)
    for (const other of [
      { epoch: 8 },
      { slot: 1 as const },
      { root: filled(1, 32) },
      { object: filled(1, 16) },
      { server: 'oslo-1' },
    ])
      t.throws(() => openReplicaReceipt(said, publicOf(server), { ...manifest, ...other }), { code: 'server.refused' })
    t.throws(() => openReplicaReceipt(said, publicOf(card), manifest), { code: 'cose.bad-signature' })
    t.throws(
      () => openManifest(said, () => publicOf(server)),
      { code: 'cose.bad-signature' },
      'a receipt is never a manifest',
    )
  },
)
