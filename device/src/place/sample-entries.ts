/**
 * What a track says of its samples (ISO/IEC 14496-12 §8.5.2; QuickTime's sound descriptions): codecs that are known, and of
 * what they bring along only what a decoder needs.
 */
import { type Box, boxesOf, free, keepOnly } from './boxes.ts'
import { rebuildProfile } from './icc.ts'
import { fourCc, notRemovable } from './source.ts'
import { cleanUnit, type UnitRules } from './video-units.ts'

const videoCodecs: ReadonlySet<string> = new Set([
  'avc1',
  'avc3',
  'hvc1',
  'hev1',
  'dvh1',
  'dvhe',
  'dvav',
  'av01',
  'vp08',
  'vp09',
  'mp4v',
  's263',
  'h263',
  'apcn',
  'apch',
  'apcs',
  'apco',
  'ap4h',
  'ap4x',
])
const soundCodecs: ReadonlySet<string> = new Set([
  'mp4a',
  'alac',
  'ac-3',
  'ec-3',
  'Opus',
  'fLaC',
  'lpcm',
  'sowt',
  'twos',
  'in24',
  'in32',
  'fl32',
  'fl64',
  'raw ',
  'samr',
  'sawb',
  '.mp3',
  'ulaw',
  'alaw',
  'ima4',
])
const videoBoxes: ReadonlySet<string> = new Set([
  'avcC',
  'hvcC',
  'av1C',
  'vpcC',
  'esds',
  'd263',
  'colr',
  'pasp',
  'clap',
  'btrt',
  'fiel',
  'gama',
  'mdcv',
  'clli',
  'SmDm',
  'CoLL',
  'amve',
  'dvcC',
  'dvvC',
  'st3d',
  'chrm',
  'ccst',
  'auxi',
])
const soundBoxes: ReadonlySet<string> = new Set([
  'esds',
  'wave',
  'chan',
  'dac3',
  'dec3',
  'dOps',
  'dfLa',
  'alac',
  'btrt',
  'damr',
  'srat',
  'pcmC',
  'chnl',
])
/** In QuickTime's `wave`; a box of no type ends it. */
const waveBoxes: ReadonlySet<string> = new Set(['frma', 'esds', 'mp4a', 'enda', 'chan', 'alac', '\0\0\0\0'])
const videoHeadBytes = 78
const soundHeadBytes = 28

/**
 * Cleans a sample description in place.
 * @returns how units are found in samples, for codecs whose units can carry anything
 */
export function keepSampleEntries(bytes: Uint8Array, box: Box, isSound: boolean): UnitRules | undefined {
  let units: UnitRules | undefined
  for (const entry of boxesOf(bytes, box.body + 8, box.to)) {
    if (!(isSound ? soundCodecs : videoCodecs).has(entry.type)) throw notRemovable(`a codec ${entry.type}`)
    const inside = entry.body + (isSound ? soundHead(bytes, entry) : videoHeadBytes)
    if (inside > entry.to) throw notRemovable('a sample description ends early')
    // The compressor's name is free text.
    if (!isSound) bytes.fill(0, entry.body + 42, entry.body + 74)
    const boxes = keepOnly(bytes, boxesOf(bytes, inside, entry.to), isSound ? soundBoxes : videoBoxes)
    for (const part of boxes) {
      if (part.type === 'wave') keepOnly(bytes, boxesOf(bytes, part.body, part.to), waveBoxes)
      if (part.type === 'colr') keepColours(bytes, part)
      if (part.type === 'avcC') units = { codec: 'h264', lengthBytes: ((bytes[part.body + 4] ?? 3) & 3) + 1 }
      if (part.type === 'hvcC') {
        units = { codec: 'h265', lengthBytes: ((bytes[part.body + 21] ?? 3) & 3) + 1 }
        cleanParameterSets(bytes, part)
      }
    }
  }
  return units
}

/** Versions 1 and 2 of QuickTime's sound description are longer. */
function soundHead(bytes: Uint8Array, entry: Box): number {
  const version = ((bytes[entry.body + 8] ?? 0) << 8) | (bytes[entry.body + 9] ?? 0)
  return soundHeadBytes + (version === 1 ? 16 : version === 2 ? 36 : 0)
}

/** A colour box: numbers stay, a profile is rebuilt in its place. */
export function keepColours(bytes: Uint8Array, box: Box): void {
  const kind = fourCc(bytes, box.body)
  if (kind === 'nclx' || kind === 'nclc') {
    if (box.to - box.body <= 11) return
  } else if (kind === 'prof' || kind === 'rICC') {
    const profile = rebuildProfile(bytes.slice(box.body + 4, box.to))
    if (profile && profile.length <= box.to - box.body - 4) {
      bytes.fill(0, box.body + 4, box.to)
      return bytes.set(profile, box.body + 4)
    }
  }
  free(bytes, box)
}

/** H.265's parameter sets may have information among them (ISO/IEC 14496-15 §8.3.3). */
export function cleanParameterSets(bytes: Uint8Array, box: Box): void {
  let at = box.body + 23
  for (let arrays = bytes[box.body + 22] ?? 0; arrays > 0; arrays--) {
    const units = ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0)
    at += 3
    for (let i = 0; i < units; i++) {
      const length = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
      at += 2
      if (at + length > box.to) throw notRemovable('parameter sets end early')
      cleanUnit(bytes.subarray(at, at + length), 'h265')
      at += length
    }
  }
  // Nothing follows the last set.
  bytes.fill(0, Math.min(at, box.to), box.to)
}
