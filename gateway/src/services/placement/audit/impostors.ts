/** S12: impostors are counted; from how many on somebody hears of it, and the server is shut off, is the site's to say. */

export interface ImpostorRules {
  /** From how many of one server on its members are told. */
  told: number
  /** From how many on the server is shut off: until then it only ranks last, and what lies there stays. */
  shutOff: number
}

/** The first one is enough to shut a server off: what answers in its place may be asked for anything. */
export const defaultImpostorRules: ImpostorRules = { told: 3, shutOff: 1 }
