/** Writes the pieces of a WebAssembly binary. */

/** Unsigned LEB128. */
export function u32(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
  return bytes
}

/** Signed LEB128 of a number that is not negative, as `i32.const` and `i64.const` take it. */
export function positive(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x40) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
  return bytes
}

export function joined(parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

export function section(id: number, parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const body = joined(parts)
  return joined([[id], u32(body.length), body])
}

export function name(text: string): number[] {
  const bytes = new TextEncoder().encode(text)
  return [...u32(bytes.length), ...bytes]
}
