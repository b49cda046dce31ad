/** Pictures as files: JPEG, PNG and WebP to pixels and back in the same kind. */
import type { MarkPicture } from '@azukari/protocol/marks/plane'
import { Problem } from '@azukari/protocol/problem'
import type { Metadata, Sharp } from 'sharp'

const kinds = ['jpeg', 'png', 'webp'] as const
type Kind = (typeof kinds)[number]

/** Largest picture that is opened: its pixels take 4 bytes each, its marked copy as many again. */
export const pixelsMax = 64_000_000
/** Of JPEG and WebP as they are written. */
const quality = 92

/** A picture and what must be known to write it again. */
export interface OpenPicture extends MarkPicture {
  kind: Kind
  hasAlpha: boolean
  isGrey: boolean
  /** Why a marked copy of it would lose something; undefined when it may be marked. */
  unsuitable?: string
}

/**
 * Upright, as its orientation says, in sRGB.
 *
 * @throws {Problem} `mark.unreadable` when it is damaged or no picture, `mark.unsuitable` when it is of another kind or too large
 */
export async function openPicture(bytes: Uint8Array): Promise<OpenPicture> {
  const { default: sharp } = await import('sharp')
  const metadata = await orUnreadable(() => sharp(bytes, { limitInputPixels: false }).metadata())
  const kind = kinds.find((known) => known === metadata.format)
  if (!kind) throw new Problem('mark.unsuitable', `it is ${metadata.format}; JPEG, PNG and WebP are read`)
  if (metadata.width * metadata.height > pixelsMax)
    throw new Problem(
      'mark.unsuitable',
      `${metadata.width} × ${metadata.height} pixels are too many; ${pixelsMax / 1e6} million are read`,
    )
  const { data, info } = await orUnreadable(() =>
    sharp(bytes, { failOn: 'error', limitInputPixels: pixelsMax })
      .autoOrient()
      .toColourspace('srgb')
      .ensureAlpha()
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true }),
  )
  const rgba = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  const isGrey = metadata.space === 'b-w'
  const opened = { width: info.width, height: info.height, rgba, kind, hasAlpha: metadata.hasAlpha, isGrey }
  const unsuitable = whyNot(metadata)
  return unsuitable === undefined ? opened : { ...opened, unsuitable }
}

function whyNot({ pages, space, depth }: Metadata): string | undefined {
  if (pages !== undefined && pages > 1) return `it moves: ${pages} frames`
  if (space === 'cmyk') return 'it is in CMYK, for a press; convert it to RGB first'
  if (depth !== 'uchar') return `it has more than 8 bits a channel (${depth}), which a marked copy would lose`
  return undefined
}

/** Side of the small picture that stands in lists, pixels. */
const smallSide = 240

/** A small JPEG of a picture, and the media type of the picture itself. @throws {Problem} `mark.unreadable` */
export async function smallJpeg(bytes: Uint8Array): Promise<{ bytes: Uint8Array; mediaType: string }> {
  const { default: sharp } = await import('sharp')
  return orUnreadable(async () => {
    const { format } = await sharp(bytes, { limitInputPixels: pixelsMax }).metadata()
    const small = sharp(bytes, { limitInputPixels: pixelsMax })
      .autoOrient()
      .resize(smallSide, smallSide, { fit: 'inside', withoutEnlargement: true })
      .flatten({ background: 'white' })
      .toColourspace('srgb')
      .jpeg({ quality: 70 })
    return { bytes: new Uint8Array(await small.toBuffer()), mediaType: `image/${format}` }
  })
}

async function orUnreadable<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message.split('\n')[0] : undefined
    throw new Problem('mark.unreadable', detail, { cause })
  }
}

/** A marked picture as a file of the kind that it came in; with alpha and grey as it had them. */
export async function encodePicture(
  { width, height, rgba }: MarkPicture,
  { kind, hasAlpha, isGrey }: OpenPicture,
): Promise<Uint8Array> {
  const { default: sharp } = await import('sharp')
  let picture = sharp(rgba, { raw: { width, height, channels: 4 } })
  if (!hasAlpha) picture = picture.removeAlpha()
  if (isGrey) picture = picture.toColourspace('b-w')
  return new Uint8Array(await inKind(picture, kind).toBuffer())
}

function inKind(picture: Sharp, kind: Kind): Sharp {
  if (kind === 'jpeg') return picture.jpeg({ quality, chromaSubsampling: '4:4:4' })
  return kind === 'webp' ? picture.webp({ quality }) : picture.png()
}
