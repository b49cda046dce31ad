/**
 * mozjpeg's decoder, compiled to WebAssembly (@jsquash/jpeg): no native build, and a broken picture cannot reach beyond
 * the module's own memory (docs/decisions/0011).
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import createModule from '@jsquash/jpeg/codec/dec/mozjpeg_dec.js'

/** What the decoder says: pixels (4 bytes each), and its first complaint when there was one. */
export interface DecodedJpeg {
  width: number
  height: number
  rgba: Uint8Array
  complaint?: string
}

interface Decoder {
  decode(bytes: Uint8Array, turn: boolean): { width: number; height: number; data: Uint8ClampedArray } | null
  HEAPU8: Uint8Array
}

/** What is used of it; Node has no types for it without those of browsers. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object
  Instance: new (module: object, imports: object) => { exports: object }
}

interface Running {
  decoder: Decoder
  complaints: string[]
}

/** An instance whose memory has grown beyond this is given up: WebAssembly memory never shrinks. */
const keptMaxBytes = 64 * 1024 * 1024

let compiled: object | undefined
let kept: Running | undefined

/** Decodes 1 or 3 components, Huffman coded. @throws {Error} what the decoder said */
export function decodeJpeg(bytes: Uint8Array): DecodedJpeg {
  const running = kept ?? start()
  // After an error nothing of the instance is trusted any more: it is put back only when all went well.
  kept = undefined
  running.complaints.length = 0
  let picture: ReturnType<Decoder['decode']>
  try {
    picture = running.decoder.decode(bytes, false)
  } catch (cause) {
    throw new Error(running.complaints[0] ?? (cause instanceof Error ? cause.message : 'it does not decode'), { cause })
  }
  if (!picture) throw new Error(running.complaints[0] ?? 'it does not decode')
  if (running.decoder.HEAPU8.length <= keptMaxBytes) kept = running
  const { width, height, data } = picture
  const rgba = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  const complaint = running.complaints[0]
  return complaint === undefined ? { width, height, rgba } : { width, height, rgba, complaint }
}

function start(): Running {
  const file = fileURLToPath(import.meta.resolve('@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm'))
  compiled ??= new WebAssembly.Module(readFileSync(file))
  const module = compiled
  const complaints: string[] = []
  // The module fills in its functions before `createModule` returns, because its code is compiled already.
  const decoder = {
    noInitialRun: true,
    printErr: (line: string) => void complaints.push(line),
    instantiateWasm: (imports: object, started: (instance: object) => void) => {
      const instance = new WebAssembly.Instance(module, imports)
      started(instance)
      return instance.exports
    },
  }
  void createModule(decoder)
  return { decoder: decoder as unknown as Decoder, complaints }
}
