/**
 * Commands of the version that runs (D6): the program that was installed once may be older than the gateway, which
 * upgraded itself, and then does not know its databases. So it hands an operator's command on to the confirmed version.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { launchedVariable } from '@azukari/protocol/adapters/launched'
import { leanEnvironment } from '@azukari/protocol/adapters/lean-memory'
import { isProblem, Problem } from '@azukari/protocol/problem'
import { services } from '../services/index.ts'

/** Commands that are always this program's own: they run or install gateways, or need no database. */
const ownCommands = new Set(['run', 'launch', 'upgrade', 'service', 'init', 'acl', 'release', 'data-server'])

/** Processes of their own have the version of their package; `settlement applications` and its like are an operator's. */
function isOwn([first = '', second = '']: readonly string[]): boolean {
  const apart = services.some(({ name }) => name === first)
  return ownCommands.has(first) || (apart && (second.startsWith('-') || /^(backup|witness)?$/.test(second)))
}

/**
 * Hands a call on to the confirmed version, when there is another than this one. Undefined when the call is this program's.
 * @throws {Problem} `upgrade.busy` while a version is on trial, or what it left is put right: what was written meanwhile could
 * be lost
 */
export async function handOver(words: readonly string[], environment: NodeJS.ProcessEnv): Promise<number | undefined> {
  if (environment[launchedVariable] || words.length === 0 || isOwn(words)) return undefined
  if (words[0] === '--version' || words.includes('--help') || words.includes('-h')) return undefined
  const folder = folderOf(words, environment)
  // Before the first upgrade, and in a folder that is none, there is no other version; the command itself says what is wrong.
  if (!existsSync(`${folder}/slots`)) return undefined
  const [{ gatewaySlots, isUnsettled }, { openSlot }, { parseCoseKey }] = await Promise.all([
    import('../upgrade/main.ts'),
    import('@azukari/protocol/upgrade/bundle'),
    import('@azukari/protocol/keys'),
  ])
  const store = gatewaySlots(folder)
  const { active, attempt } = await store.read()
  if (attempt?.phase === 'trying' || isUnsettled(folder))
    throw new Problem('upgrade.busy', 'a new version of the gateway is being tried; try again in a minute')
  const releaseKey = `${folder}/release.pub`
  if (!active || !existsSync(releaseKey)) return undefined
  try {
    const key = parseCoseKey(new Uint8Array(readFileSync(releaseKey)))
    const { entry } = await openSlot(store, active, key)
    const child = spawn(process.execPath, [`${store.directoryOf(active)}/files/${entry}`, ...words], {
      stdio: 'inherit',
      env: { ...leanEnvironment, ...environment, [launchedVariable]: '1' },
    })
    return await new Promise((resolve) => {
      child.once('exit', (code) => resolve(code ?? 1))
      child.once('error', () => resolve(1))
    })
  } catch (error) {
    // A slot that has rotten: what was installed does what it can, and refuses databases that it does not know.
    if (isProblem(error) && error.code.startsWith('upgrade.')) return undefined
    throw error
  }
}

/** The site's folder of a call, before it is known which command it is. */
function folderOf(words: readonly string[], environment: NodeJS.ProcessEnv): string {
  const at = words.findIndex((word) => word === '--folder' || word.startsWith('--folder='))
  const given = at < 0 ? undefined : words[at] === '--folder' ? words[at + 1] : words[at]!.slice('--folder='.length)
  return given || environment['AZUKARI_FOLDER'] || './azukari-data'
}
