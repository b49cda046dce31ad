/** `azukari-device launch` as it is installed: processes, slots on a real disk (D6). */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { signerOf } from '@azukari/protocol/cose'
import { generateKey, publicOf } from '@azukari/protocol/keys'
import { folderBundle, stage } from '@azukari/protocol/upgrade/bundle'
import { signUpgrade } from '@azukari/protocol/upgrade/manifest'
import t from 'tap'
import { loadIdentity, storeIdentity } from '../identity.ts'
import { slotsOf } from './process-main.ts'

t.test(
  'D6: the launcher tries a staged version as a process, which confirms itself, and ends when it is told to',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'azukari-launch-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    const releaseKey = generateKey('ed25519', systemRandom)
    const other = publicOf(generateKey('ed25519', systemRandom))
    const identity = await loadIdentity(systemFiles(), `${folder}/identity.cose`, systemRandom)
    const trust = { site: 'tokyo', region: 'JP-13', gatewayKey: other, placementKey: other, placementAgreement: other }
    await storeIdentity(systemFiles(), `${folder}/identity.cose`, {
      ...identity,
      trust: { ...trust, releaseKey: publicOf(releaseKey) },
    })
    const module = (name: string) => JSON.stringify(import.meta.resolve(name))
    const script = `
    import { writeFileSync } from 'node:fs'
    import { confirmHealth } from ${module('@azukari/protocol/upgrade/launcher')}
    import { slotsOf } from ${module('./process-main.ts')}
    await confirmHealth(slotsOf(${JSON.stringify(folder)}), '2.0.0')
    writeFileSync(${JSON.stringify(`${folder}/said`)}, process.argv.slice(2).join(' '))
    const alive = setInterval(() => {}, 1000)
    process.once('SIGTERM', () => clearInterval(alive))`
    mkdirSync(`${folder}/bundle/files`, { recursive: true })
    writeFileSync(`${folder}/bundle/files/main.mjs`, script)
    const bytes = Buffer.from(script)
    const hash = new Uint8Array(createHash('sha256').update(bytes).digest())
    const manifest = { site: 'tokyo', version: '2.0.0', sequence: 1, minRuntime: '0.1.0', entry: 'main.mjs' }
    const files = [{ path: 'main.mjs', bytes: bytes.length, hash }]
    writeFileSync(`${folder}/bundle/manifest.cose`, signUpgrade({ ...manifest, files }, signerOf(releaseKey)))
    const store = slotsOf(folder)
    const source = folderBundle(systemFiles(), `${folder}/bundle`)
    await stage({ store, source, installed: { site: 'tokyo', version: '0.1.0' }, releaseKey: publicOf(releaseKey) })
    await store.step({ kind: 'activate' })

    const words = ['launch', '--folder', folder, '--board', 'none', '--broker', 'mqtt://127.0.0.1:1', '--log', 'silent']
    const launcher = spawn(process.execPath, [join(import.meta.dirname, '../cli.ts'), ...words], { stdio: 'inherit' })
    const exited = new Promise<number | null>((resolve) => launcher.once('exit', resolve))
    for (const end = Date.now() + 600_000; !existsSync(`${folder}/said`) && Date.now() < end; )
      await new Promise((resolve) => setTimeout(resolve, 50))
    t.ok(existsSync(`${folder}/said`), 'the new version was started')
    t.match(await store.read(), { active: 'a', floor: 1, last: { outcome: 'confirmed', version: '2.0.0' } })
    launcher.kill('SIGTERM')
    t.equal(await exited, 0)
  },
)
