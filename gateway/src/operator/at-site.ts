/** What a command's folder and site must be before it begins: a mistyped one is told, not made. */
import { accessSync, constants, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Command, Values } from '@azukari/protocol/adapters/command'
import { Problem } from '@azukari/protocol/problem'
import { slugPattern } from '@azukari/protocol/slug'
import { services } from '../services/index.ts'

/** Commands that may make the folder, or show what would stand there. */
const makers = new Set(['init', 'run', 'launch', 'data-server', 'data-server enrol', 'config check', 'service'])
const slug = new RegExp(slugPattern)

/** The commands, each of which looks at its folder and site first. */
export function atSite(commands: Record<string, Command>): Record<string, Command> {
  return Object.fromEntries(
    Object.entries(commands).map(([name, command]) => [
      name,
      {
        ...command,
        run: async (values: Values, positionals: string[]) => {
          const { folder } = values
          for (const option of ['site', 'id'])
            if (command.options[option] && values[option] !== undefined) checkName(option, values[option])
          if (command.options['folder']) checkFolder(String(folder), mayMake(name))
          return command.run(values, positionals)
        },
      },
    ]),
  )
}

/** @throws {Problem} `config.invalid` */
function checkName(option: string, value: unknown): void {
  if (typeof value !== 'string' || !slug.test(value))
    throw new Problem('config.invalid', `--${option} ${value}: a–z, 0–9 and hyphens, at most 32`)
}

function mayMake(name: string): boolean {
  const [first = '', second = ''] = name.split(' ')
  const apart = services.some((module) => module.name === first) && ['', 'backup', 'witness'].includes(second)
  return apart || makers.has(name)
}

/** @throws {Problem} `config.invalid` */
function checkFolder(folder: string, mayMake: boolean): void {
  const stands = statSync(folder, { throwIfNoEntry: false })
  if (stands?.isDirectory()) return checkWritable(folder, folder)
  if (stands) throw new Problem('config.invalid', `--folder ${folder} is no folder`)
  if (!mayMake)
    throw new Problem(
      'config.invalid',
      `--folder ${folder} is not there; name the site’s folder (or AZUKARI_FOLDER), or make a site with azukari-gateway init`,
    )
  for (let above = dirname(resolve(folder)); above !== dirname(above); above = dirname(above)) {
    const found = statSync(above, { throwIfNoEntry: false })
    if (found?.isDirectory()) return checkWritable(folder, above)
    if (found) throw new Problem('config.invalid', `--folder ${folder} cannot be made: ${above} is no folder`)
  }
}

/** @throws {Problem} `config.invalid` */
function checkWritable(folder: string, stands: string): void {
  try {
    accessSync(stands, constants.W_OK | constants.X_OK)
  } catch (cause) {
    throw new Problem('config.invalid', `--folder ${folder}: this user may not write in ${stands}`, { cause })
  }
}
