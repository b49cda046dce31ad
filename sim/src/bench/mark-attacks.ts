/** What happens to pictures between an author and whoever meets a copy, for B9. */
import type { Sharp } from 'sharp'

type Attack = (picture: Sharp, width: number, height: number) => Promise<Buffer>

const jpeg =
  (quality: number): Attack =>
  (picture) =>
    picture.jpeg({ quality }).toBuffer()

/** Loses that part of the area, a little off the middle; both sides alike. */
function crop(lost: number, quality = 0): Attack {
  return (picture, width, height) => {
    const part = Math.sqrt(1 - lost)
    const [w, h] = [Math.round(width * part), Math.round(height * part)]
    const [left, top] = [Math.floor((width - w) * 0.4), Math.floor((height - h) * 0.7)]
    const cropped = picture.extract({ left, top, width: w, height: h })
    return (quality > 0 ? cropped.jpeg({ quality }) : cropped.png({ compressionLevel: 1 })).toBuffer()
  }
}

const resize =
  (factor: number, quality = 82): Attack =>
  (picture, width, height) =>
    picture
      .resize(Math.round(width * factor), Math.round(height * factor))
      .jpeg({ quality })
      .toBuffer()

function rotate(degrees: number): Attack {
  return async (picture, width, height) => {
    const { default: sharp } = await import('sharp')
    const turned = await picture.rotate(degrees, { background: '#808080' }).png({ compressionLevel: 1 }).toBuffer()
    const { width: w, height: h } = await sharp(turned).metadata()
    // As a person crops it: without the corners.
    const [cw, ch] = [Math.round(width * 0.8), Math.round(height * 0.8)]
    return sharp(turned)
      .extract({ left: (w - cw) >> 1, top: (h - ch) >> 1, width: cw, height: ch })
      .jpeg({ quality: 85 })
      .toBuffer()
  }
}

export const attacks: Readonly<Record<string, Attack>> = {
  none: (picture) => picture.png({ compressionLevel: 1 }).toBuffer(),
  'JPEG 82': jpeg(82),
  'JPEG 50': jpeg(50),
  'JPEG 30': jpeg(30),
  'WebP 50': (picture) => picture.webp({ quality: 50, effort: 1 }).toBuffer(),
  'resize 0.5 + JPEG 82': resize(0.5),
  'resize 1.5 + JPEG 82': resize(1.5),
  'width 300 + JPEG 82': (picture) => picture.resize(300).jpeg({ quality: 82 }).toBuffer(),
  'crop 25 %': crop(0.25),
  'crop 50 %': crop(0.5),
  'crop 50 % + JPEG 50': crop(0.5, 50),
  'crop 75 %': crop(0.75),
  flip: (picture) => picture.flip().jpeg({ quality: 85 }).toBuffer(),
  'quarter turn': (picture) => picture.rotate(90).jpeg({ quality: 85 }).toBuffer(),
  'rotate 2°': rotate(2),
  'rotate 5°': rotate(5),
  'blur 2': (picture) => picture.blur(2).jpeg({ quality: 85 }).toBuffer(),
  'gamma and brightness': (picture) =>
    picture.gamma(1.6).modulate({ brightness: 1.15 }).jpeg({ quality: 85 }).toBuffer(),
  'aspect +10 %': (picture, width, height) =>
    picture
      .resize(Math.round(width * 1.1), height, { fit: 'fill' })
      .jpeg({ quality: 85 })
      .toBuffer(),
}
