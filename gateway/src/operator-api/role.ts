/** Roles of operators. */

/** `admin`: accounts; `fleet`: devices and jobs; `placement`: servers and data; `clerk`: money; `auditor`: reads the log. */
export const roles = ['admin', 'fleet', 'placement', 'clerk', 'auditor'] as const

export type Role = (typeof roles)[number]
