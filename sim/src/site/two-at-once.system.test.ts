import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { gatewayCommand, startGatewayCommand } from './processes.ts'

const folder = mkdtempSync(join(tmpdir(), 'azukari-two-'))
t.after(() => rmSync(folder, { recursive: true, force: true }))

const cli = fileURLToPath(import.meta.resolve('@azukari/gateway/cli'))

t.test('D5: what works in a folder works there alone, until it ends, however it ends', async (t) => {
  await gatewayCommand(['init', '--folder', folder])
  for (const words of [
    ['run', '--folder', folder, '--port', '0', '--health-port=-1'],
    ['data-server', '--folder', folder, '--id', 'one'],
  ]) {
    const start = () => startGatewayCommand(words, { logFile: join(folder, 'log') })
    const first = await start()
    const second = spawnSync(process.execPath, [cli, ...words, '--json'], { encoding: 'utf8', timeout: 600_000 })
    t.equal(second.status, 1)
    t.match(JSON.parse(second.stdout), { problem: { code: 'folder.in-use', detail: /\.lock$/ } })
    await first.kill()
    const next = await start()
    await next.stop()
    await (await start()).stop()
  }
})
