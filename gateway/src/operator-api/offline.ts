/** Commands that only read, on a site's folder where nothing runs: under the service's lock, so that nothing starts meanwhile. */

import type { Values } from '@azukari/protocol/adapters/command'
import { text } from '@azukari/protocol/adapters/command-line'
import { holdFolder } from '@azukari/protocol/adapters/folder-lock'
import { Problem } from '@azukari/protocol/problem'
import { CallOutputs, readCallFiles } from '../adapters/call-files.ts'
import { Stores } from '../adapters/stores.ts'
import { systemPorts } from '../adapters/system-ports.ts'
import { Budgets } from '../budgets/budgets.ts'
import type { OpenService, ServiceModule } from '../host/service-module.ts'
import { consoleLog } from '../log.ts'
import { logUnlisted } from '../service/unlisted.ts'
import { services } from '../services/index.ts'
import { SiteFolder } from '../site-folder.ts'
import { serviceAct } from './act.ts'
import { languageOf, showing } from './client.ts'
import type { Answer } from './roles.ts'
import type { SentCommand } from './sent-command.ts'
import { commandOf } from './service-commands.ts'
import { givenValues } from './wire.ts'

/** @throws {Problem} `folder.in-use` when the service runs, `operator.not-running` for a command that needs a running site */
export async function carryOutOffline(
  name: string,
  values: Values,
  positionals: string[],
  { group, filesIn = [], filesOut = [] }: SentCommand,
): Promise<Answer> {
  const path = text(values, 'folder')
  const module = services.find(({ commands }) => commands && Object.hasOwn(commands, group))
  if (!module) throw new Problem('operator.not-running', path)
  const outputs = new CallOutputs(filesOut, values)
  const files = new Map(readCallFiles(filesIn, values, positionals).map(({ name, bytes }) => [name, bytes]))
  using _ = holdFolder(`${path}/${module.lock}`)
  const command = await commandOf(module, name)
  const stores = Stores.of(path)
  const open = await openClosed(
    module,
    new SiteFolder(path, typeof values['site'] === 'string' ? values['site'] : 'site', systemPorts),
    stores,
  )
  try {
    const call = { values: givenValues(values), positionals, language: languageOf() }
    const who = { operator: '', people: [] }
    const port = { ...showing(outputs), signal: new AbortController().signal }
    return await command.carryOut(open, serviceAct(call, files, who, port), values, positionals)
  } finally {
    await open.service.stop()
    await open.close()
    await stores.close()
  }
}

/** The service, opened and not started: it does nothing by itself. */
async function openClosed(module: ServiceModule, folder: SiteFolder, stores: Stores): Promise<OpenService> {
  const nobody = async (): Promise<never> => {
    throw new Problem('operator.not-running', folder.path)
  }
  // Opening would make it: keys, too.
  for (const name of module.databases)
    if (!(await stores.has(name)))
      throw new Problem('config.invalid', `${folder.path} has no ${module.name} yet: start the gateway once`)
  const log = consoleLog(module.name, 'error')
  return module.open({
    folder,
    stores,
    ports: systemPorts,
    log,
    unlisted: logUnlisted(log),
    members: nobody,
    passphrase: process.env['AZUKARI_PASSPHRASE'],
    budgets: new Budgets(),
    buffer: { describe: nobody, read: nobody, release: nobody },
    call: nobody,
    peers: () => undefined,
    signers: () => () => undefined,
    isClosed: true,
  })
}
