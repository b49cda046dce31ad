/** 100 MB and another download at once, to a device process that is killed, from a gateway that begins again (S4, D5). */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, mkdirSync, statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { startTestSite, type TestSite } from '@azukari/gateway/test-site'
import { hashContent } from '@azukari/protocol/download'
import t from 'tap'

const program = fileURLToPath(new URL('test-download-device.ts', import.meta.url))
const sizes: Record<string, number> = { large: 100_000_000, small: 5_000_000 }

/** Content that is made when it is read: byte i is a function of i and its name. */
function madeContent(name: string) {
  const salt = name.charCodeAt(0)
  return async (at: number, length: number) => {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, sizes[name]! - at)))
    for (let i = 0; i < bytes.length; i++) bytes[i] = ((at + i) * 2_654_435_761 + salt) >>> 13
    return bytes
  }
}

/** Its lines, one after the other. */
function lines(child: ChildProcess): AsyncIterator<string> {
  return createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
}

async function until(said: AsyncIterator<string>, wanted: (line: string) => boolean): Promise<string> {
  for (let line = await said.next(); !line.done; line = await said.next()) if (wanted(line.value)) return line.value
  throw new Error('the device ended')
}

t.test(
  'S4: 100 MB and another download at once, a device killed twice, a gateway begun again: both whole, memory small',
  async (t) => {
    const folder = t.testdir()
    mkdirSync(`${folder}/site`)
    mkdirSync(`${folder}/device`)
    const start = (): Promise<TestSite> =>
      startTestSite({
        directory: `${folder}/site`,
        downloads: async (_kind, reference) => madeContent(Buffer.from(reference).toString()),
      })
    let site = await start()
    let child: ChildProcess | undefined
    const boot = (claim = '') => {
      child = spawn(process.execPath, ['--max-old-space-size=96', program, `${folder}/device`, site.url, claim], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      return lines(child)
    }
    const kill = async () => {
      child!.kill('SIGKILL')
      await once(child!, 'exit')
    }
    t.teardown(async () => {
      child?.kill('SIGKILL')
      await site.stop()
    })
    let said = boot(await site.newClaim())
    const device = (await until(said, (line) => line.startsWith('up '))).slice(3)
    const transfers: Record<string, string> = {}
    for (const name of ['large', 'small']) {
      const hashes = await hashContent(sizes[name]!, madeContent(name))
      const transfer = await site.service.store.transaction(({ offer }) =>
        offer(device, {
          kind: 'big',
          name,
          mediaType: 'application/octet-stream',
          hashes,
          lifeMs: 600_000,
          reference: Buffer.from(name),
        }),
      )
      transfers[name] = `${folder}/device/downloads/${Buffer.from(transfer).toString('hex')}.blocks`
    }
    const sizeOf = (name: string) => statSync(transfers[name]!, { throwIfNoEntry: false })?.size ?? 0
    const grown = async (bytes: number) => {
      while (sizeOf('large') < bytes) await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await grown(20_000_000)
    await kill()
    const before = sizeOf('large')
    t.ok(before < sizes['large']!, `killed at ${before} bytes`)
    said = boot()
    await grown(50_000_000)
    await site.stop()
    site = await start()
    await kill()
    const reached = sizeOf('large')
    t.ok(reached < sizes['large']!, `the gateway began again at ${reached} bytes`)
    said = boot()
    const whole = new Set<string>()
    while (whole.size < 2) whole.add(await until(said, (line) => line.startsWith('whole ')))
    const rss = Number((await until(said, (line) => line.startsWith('rss '))).slice(4))
    t.comment(`the device used at most ${rss} MB`)
    t.ok(rss < 260, `${rss} MB`)
    for (const name of ['large', 'small']) {
      const wanted = createHash('sha256')
      const read = madeContent(name)
      for (let at = 0; at < sizes[name]!; at += 1 << 20) wanted.update(await read(at, 1 << 20))
      const found = createHash('sha256')
      for await (const piece of createReadStream(transfers[name]!)) found.update(piece as Buffer)
      t.equal(found.digest('hex'), wanted.digest('hex'), `${name} is what was offered`)
    }
  },
)
