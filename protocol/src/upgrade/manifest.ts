/**
 * What a site's release key says of one release of a program (D6): its place in the order of releases and the hash of every
 * file. COSE_Sign1 over deterministic CBOR; a bundle is this and the files that it names.
 */
import { createHash, type KeyObject } from 'node:crypto'
import { decode, encodeDeterministic } from '../codec.ts'
import { Count, checker, Hash, Slug, type Static, Text, Type } from '../contract.ts'
import { type DirectSigner, sign1, verify1 } from '../cose.ts'
import { thumbprint } from '../keys.ts'
import { isProblem, Problem } from '../problem.ts'

/** What a release is of. Each is signed under a domain of its own: a device takes no gateway's release, and the other way round. */
export type UpgradeProgram = 'device' | 'gateway'

const domains: Record<UpgradeProgram, Uint8Array> = {
  device: new TextEncoder().encode('azukari/upgrade/1'),
  gateway: new TextEncoder().encode('azukari/gateway-upgrade/1'),
}

/** Longest signed manifest, and all files of a bundle together, in bytes. */
export const upgradeManifestMaxBytes = 192 * 1024
export const upgradeMaxBytes = 512 * 1024 * 1024

/** A path inside the bundle: it cannot leave it, hide, or differ between file systems. */
const BundlePath = Type.String({
  pattern: '^[A-Za-z0-9_@][A-Za-z0-9_@.-]*(/[A-Za-z0-9_@][A-Za-z0-9_@.-]*)*$',
  maxLength: 200,
})
/** `1.2.3`, and what may follow it. */
const Version = Type.String({
  pattern: '^[0-9]{1,6}\\.[0-9]{1,6}\\.[0-9]{1,6}([-+][A-Za-z0-9.-]{1,12})?$',
  maxLength: 32,
})

export const UpgradeManifest = Type.Object({
  site: Slug,
  version: Version,
  /** The release's place in their order; a device's confirmed one never goes down. */
  sequence: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  /** The oldest installed version that can be upgraded from. */
  minRuntime: Version,
  /** The file that Node starts. */
  entry: BundlePath,
  files: Type.Array(Type.Object({ path: BundlePath, bytes: Count, hash: Hash }), { minItems: 1, maxItems: 1_500 }),
  note: Type.Optional(Text(200)),
})
export type UpgradeManifest = Static<typeof UpgradeManifest>

const check = checker(UpgradeManifest, 'upgrade manifest')

/** @throws {Problem} `message.invalid`, `message.too-large` */
export function signUpgrade(
  manifest: UpgradeManifest,
  signer: DirectSigner,
  program: UpgradeProgram = 'device',
): Uint8Array {
  const signed = sign1(encodeDeterministic(checkFiles(check(manifest))), signer, domains[program])
  if (signed.length > upgradeManifestMaxBytes) throw new Problem('message.too-large', 'too many files in one bundle')
  return signed
}

/**
 * Opens what this site's release key signed of a program.
 * @throws {Problem} `upgrade.wrong-signer`, `upgrade.foreign` for the other program's, `cbor.*`, `cose.malformed`, `message.*`
 */
export function openUpgrade(
  signed: Uint8Array,
  releaseKey: KeyObject,
  program: UpgradeProgram = 'device',
): UpgradeManifest {
  if (signed.length > upgradeManifestMaxBytes) throw new Problem('message.too-large', 'upgrade manifest')
  const kid = Buffer.from(thumbprint(releaseKey))
  const opened = (of: UpgradeProgram) =>
    verify1(signed, (asked) => (kid.equals(asked) ? releaseKey : undefined), domains[of]).payload
  try {
    return checkFiles(check(decode(opened(program))))
  } catch (cause) {
    const other: UpgradeProgram = program === 'device' ? 'gateway' : 'device'
    if (isProblem(cause, 'cose.bad-signature') && isSound(() => opened(other)))
      throw new Problem('upgrade.foreign', `a ${other}’s`, { cause })
    if (isProblem(cause, 'cose.unknown-key') || isProblem(cause, 'cose.bad-signature'))
      throw new Problem('upgrade.wrong-signer', cause.detail, { cause })
    throw cause
  }
}

function isSound(open: () => unknown): boolean {
  try {
    open()
    return true
  } catch (error) {
    if (!isProblem(error)) throw error
    return false
  }
}

/** What names a bundle: SHA-256 of its signed manifest. */
export function upgradeName(signed: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(signed).digest())
}

/** What a device or gateway is, as far as it decides whether an upgrade fits. */
export interface Installed {
  site: string
  version: string
  /** The highest sequence number that was ever confirmed here; 0 for none. */
  floor: number
}

/** Why this release may not be installed here; undefined when it may. */
export function refusalOf({ site, sequence, minRuntime }: UpgradeManifest, installed: Installed): Problem | undefined {
  if (site !== installed.site) return new Problem('upgrade.foreign', `for ${site}`)
  if (sequence === installed.floor) return new Problem('upgrade.replayed', `sequence ${sequence}`)
  if (sequence < installed.floor)
    return new Problem('upgrade.downgraded', `sequence ${sequence}, installed ${installed.floor}`)
  if (compareVersions(installed.version, minRuntime) < 0)
    return new Problem('upgrade.runtime-too-old', `${installed.version}, at least ${minRuntime}`)
  return undefined
}

/** By the three numbers alone: below 0 when `a` is older. */
export function compareVersions(a: string, b: string): number {
  const numbers = (version: string) => version.split(/[-+]/)[0]!.split('.').map(Number)
  const [left, right] = [numbers(a), numbers(b)]
  for (let i = 0; i < 3; i++) if (left[i] !== right[i]) return (left[i] ?? 0) - (right[i] ?? 0)
  return 0
}

function checkFiles(manifest: UpgradeManifest): UpgradeManifest {
  const paths = new Set(manifest.files.map(({ path }) => path.toLowerCase()))
  if (paths.size < manifest.files.length) throw new Problem('message.invalid', 'a path stands in the bundle twice')
  for (const path of paths)
    for (let cut = path.lastIndexOf('/'); cut > 0; cut = path.lastIndexOf('/', cut - 1))
      if (paths.has(path.slice(0, cut))) throw new Problem('message.invalid', `${path} lies below a file`)
  if (!manifest.files.some(({ path }) => path === manifest.entry))
    throw new Problem('message.invalid', 'the entry is no file of the bundle')
  if (manifest.files.reduce((sum, { bytes }) => sum + bytes, 0) > upgradeMaxBytes)
    throw new Problem('transfer.too-large', `a bundle has at most ${upgradeMaxBytes} bytes`)
  return manifest
}
