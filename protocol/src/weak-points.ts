/**
 * Which 32 bytes are good public keys on Curve25519: canonical, on the curve, and not of small order. OpenSSL takes any
 * bytes; a signature under a small-order key holds for more than one message, and an agreement with one is known to
 * everybody (RFC 7748 §6.1, RFC 8032 §5.1.3).
 */

const p = 2n ** 255n - 19n
/** The Edwards curve's d (RFC 8032 §5.1). */
const d = 37095705934669439343138083508754565189542113879843219016388785533085940283555n

/** y of the eight points of order 1, 2, 4 and 8. */
const orderEight = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n
const smallOrderY: ReadonlySet<bigint> = new Set([0n, 1n, p - 1n, orderEight, p - orderEight])

/** u of the points of small order on the Montgomery curve and its twist. */
const smallOrderU: ReadonlySet<bigint> = new Set([
  0n,
  1n,
  p - 1n,
  0x00b8495f16056286fdb1329ceb8d09da6ac49ff1fae35616aeb8413b7c7aebe0n,
  0x57119fd0dd4e22d8868e1c58c45c44045bef839c55b1d0b1248c50a3bc959c5fn,
])

export function isX25519Point(bytes: Uint8Array): boolean {
  const u = littleEndian(bytes)
  return u < p && !smallOrderU.has(u)
}

export function isEd25519Point(bytes: Uint8Array): boolean {
  const y = littleEndian(bytes) & (2n ** 255n - 1n)
  if (y >= p || smallOrderY.has(y)) return false
  // x² = (y² − 1) / (d·y² + 1) must be a square: Euler's criterion on the product is enough.
  const square = (y * y) % p
  return power(((square - 1n + p) * (d * square + 1n)) % p, (p - 1n) / 2n) === 1n
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n
  let square = base
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = (result * square) % p
    square = (square * square) % p
  }
  return result
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)
}
