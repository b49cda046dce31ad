/** What an operator may be allowed to do: the gateway's own roles, and those that services add for their commands. */
import { services } from '../services/index.ts'

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

export const roles: readonly string[] = Object.keys(roleUses)
