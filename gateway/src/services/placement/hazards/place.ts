/** What the formulas need of a data server's place. What is not known is taken on the safe side. */
import { Type } from '@azukari/protocol/contract'
import type { Position } from '../geography.ts'

/** The ground a server stands on, as its operator knows it. */
export interface Ground {
  /** Amplification of peak velocity by the ground, against Vs 400 m/s; J-SHIS gives it for every place in Japan. */
  amplification?: number
  /** Of the server above the sea, m. */
  elevationM?: number
  /** Distance to the sea, km. */
  coastKm?: number
  /** Structure class of earthquake insurance: i = fire-resistant, ro = other. */
  structure?: 'i' | 'ro'
}

export const GroundSchema = Type.Object(
  {
    amplification: Type.Optional(Type.Number({ minimum: 0.3, maximum: 5 })),
    elevationM: Type.Optional(Type.Number({ minimum: -500, maximum: 9_000 })),
    coastKm: Type.Optional(Type.Number({ minimum: 0, maximum: 5_000 })),
    structure: Type.Optional(Type.Union([Type.Literal('i'), Type.Literal('ro')])),
  },
  { additionalProperties: false },
)

export interface Place extends Position {
  server: string
  region: string
  ground: Ground
}
