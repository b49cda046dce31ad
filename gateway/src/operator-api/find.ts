/** The commands that a running site carries out, by name. */
import index from '../command-index.json' with { type: 'json' }
import { operatorGroups } from './groups.ts'
import { isOperatorCommand, type OperatorCommand } from './roles.ts'

export async function operatorCommand(name: string): Promise<OperatorCommand | undefined> {
  if (!Object.hasOwn(index, name)) return undefined
  const { group } = index[name as keyof typeof index]
  const command = (await operatorGroups[group]?.())?.[name]
  return command && isOperatorCommand(command) ? command : undefined
}
