/** What the formulas need of a data server's place. What is not known is taken on the safe side. */
import type { Position } from '../../../geography.ts'

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

export interface Place extends Position {
  server: string
  region: string
  ground: Ground
}
