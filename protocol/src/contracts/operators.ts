/** What administrators tell a gateway about accounts (D6, D8), as contracts. */
import { contract, Text, TimeMs, Type } from '../contract.ts'

const frame = { kind: 'command', service: 'gateway', authority: 'operator', serves: ['D6', 'D8'] } as const
const admin = { role: 'admin' } as const
const name = Type.String({ minLength: 1, maxLength: 64, description: 'of the account' })
const Named = Type.Object({ name })

export const addOperator = contract({
  ...frame,
  name: 'operator.add',
  operator: admin,
  title: 'Makes an account and prints its password once',
  request: Type.Object({
    name,
    role: Type.Optional(
      Type.Array(Text(32), {
        maxItems: 32,
        description: 'what it may do, as operators.md lists them; may be repeated',
      }),
    ),
  }),
  reply: Type.Object({ operator: Text(32), password: Text(64) }),
})

export const listOperators = contract({
  ...frame,
  name: 'operator.list',
  operator: admin,
  title: 'Lists the accounts with their roles',
  request: Type.Object({}),
  reply: Type.Array(
    Type.Object({
      name: Text(32),
      roles: Type.Array(Text(32)),
      totp: Type.Boolean(),
      disabled: Type.Boolean(),
      madeMs: TimeMs,
    }),
  ),
})

export const changeRoles = contract({
  ...frame,
  name: 'operator.roles',
  operator: admin,
  title: 'Gives an account these roles and no others, from its next call on',
  request: Type.Object({
    name,
    role: Type.Array(Text(32), {
      minItems: 1,
      maxItems: 32,
      description: 'what it may do, as operators.md lists them; may be repeated',
    }),
  }),
  reply: Type.Object({ operator: Text(32), roles: Type.Array(Text(32)) }),
})

export const disableOperator = contract({
  ...frame,
  name: 'operator.disable',
  operator: admin,
  title: 'Closes an account and ends its sessions',
  request: Named,
  reply: Type.Object({ disabled: Text(32) }),
})

export const renewPassword = contract({
  ...frame,
  name: 'operator.password',
  operator: admin,
  title: 'Gives an account a new password, prints it once, and ends the account’s sessions',
  request: Named,
  reply: Type.Object({ operator: Text(32), password: Text(64) }),
})

export const renewTotp = contract({
  ...frame,
  name: 'operator.totp',
  operator: admin,
  title: 'From now on the account also needs the code of a telephone: prints its secret once',
  request: Named,
  reply: Type.Object({ operator: Text(32), secret: Text(64), uri: Text(200) }),
})
