/** What the HTTPS listener asks of services besides contracts of their own, and what they give it in pieces (D6). */
import { Bytes, Count, contract, type Static, Text, Type } from '../contract.ts'

/** Whether whoever comes with a key or a link may ask a contract: judged before anything else of a request is read. */
export const admitOutsider = contract({
  name: 'https.admit',
  kind: 'internal',
  service: 'gateway',
  authority: 'service',
  title: 'Whether an API key or a signed link is genuine and good for a contract',
  serves: ['D6', 'P6'],
  request: Type.Object({ contract: Text(64) }),
  /** `who`: by which the listener counts; `holder`: whose key it is, or for whom the link was made. */
  reply: Type.Object({ who: Text(64), holder: Text(64) }),
  problems: [
    'api.key-required',
    'api.key-refused',
    'api.key-ended',
    'api.scope',
    'url.refused',
    'url.expired',
    'message.unknown-contract',
  ],
})

/** Bytes of a file in one piece. */
export const pieceMaxBytes = 131_072

/** What a contract with the authority `link` is asked for besides the fields of its path. */
export const pieceRequest = { from: Count, count: Type.Integer({ minimum: 0, maximum: pieceMaxBytes }) }

/** A piece of a file, from `from` on: fewer bytes only at its end. */
export const FilePiece = Type.Object({
  sizeBytes: Count,
  mediaType: Text(64),
  /** Under which it is kept. */
  name: Text(128),
  /** The same as long as its bytes are. */
  version: Type.String({ pattern: '^[0-9a-f]{8,64}$' }),
  bytes: Bytes(0, pieceMaxBytes),
})
export type FilePiece = Static<typeof FilePiece>
