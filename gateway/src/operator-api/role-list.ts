/** What an operator may be allowed to do: the gateway's own roles, and those that services add for their commands. */
import { Problem } from '@azukari/protocol/problem'
import { services } from '../services/index.ts'
import type { Role } from './role.ts'

const rolesOfGateway = {
  admin: 'accounts',
  fleet: 'boards, data servers and jobs',
  auditor: 'reads the log',
}

/** What each role is for. */
export const roleUses: Readonly<Record<string, string>> = Object.assign(
  {},
  rolesOfGateway,
  ...services.map(({ roles }) => roles ?? {}),
)

export const roles: readonly Role[] = Object.keys(roleUses)

/** In the order of the list, each once. @throws {Problem} `config.invalid` for none, and for one that there is not */
export function knownRoles(given: readonly string[]): Role[] {
  if (given.length === 0 || given.some((role) => !roles.includes(role)))
    throw new Problem('config.invalid', `roles are some of ${roles.join(', ')}`)
  return roles.filter((role) => given.includes(role))
}
