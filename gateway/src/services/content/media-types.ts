/** What a file is, by the ending of its name; what boards can show and play. */
const byEnding: Readonly<Record<string, string>> = {
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  png: 'image/png',
  webp: 'image/webp',
  mp3: 'audio/mpeg',
  m4a: 'audio/mp4',
  ogg: 'audio/ogg',
  oga: 'audio/ogg',
  opus: 'audio/ogg',
  flac: 'audio/flac',
  wav: 'audio/wav',
  mp4: 'video/mp4',
  m4v: 'video/mp4',
  webm: 'video/webm',
  pdf: 'application/pdf',
  txt: 'text/plain',
}

/** Bytes without a name, when the ending says nothing. */
export function mediaTypeOf(name: string): string {
  const ending = name.slice(name.lastIndexOf('.') + 1).toLowerCase()
  return byEnding[ending] ?? 'application/octet-stream'
}

/** How pictures begin: JPEG (ISO/IEC 10918-1 B.1.1.3), PNG (W3C PNG §5.2). */
const beginnings: Readonly<Record<string, readonly number[]>> = {
  'image/jpeg': [0xff, 0xd8, 0xff],
  'image/png': [0x89, 0x50, 0x4e, 0x47],
}

/** Whether a file may be of this media type, by its first bytes; of types without a known beginning always. */
export function beginsLike(media: string, bytes: Uint8Array): boolean {
  return (beginnings[media] ?? []).every((byte, i) => bytes[i] === byte)
}
