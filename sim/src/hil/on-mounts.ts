/** Removable memory on real mounts: run by `memory.hil.ts` in a mount namespace of its own. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildPart } from '@azukari/boards/definitions'
import { memoryConforms } from '@azukari/device/conformance/memory'
import { limit } from '@azukari/device/conformance/suite'
import type { RemovableMemory } from '@azukari/device/drivers'
import { memorySpool } from '@azukari/device/memory-spool'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { isProblem } from '@azukari/protocol/problem'
import t from 'tap'
import { quietLog } from '../testkit/log.ts'
import { Socket, StickImage, tmpfs } from './medium.ts'

t.setTimeout(240_000)
const folder = mkdtempSync(join(tmpdir(), 'azukari-media-'))
t.teardown(() => {
  Socket.pullAll()
  rmSync(folder, { recursive: true, force: true })
})
const ports = {
  clock: systemClock,
  files: systemFiles(),
  random: systemRandom,
  log: quietLog,
  directory: folder,
}
/** As a board's file names it. */
const memoryAt = async (socket: Socket) =>
  (await buildPart(
    'memory',
    'memory',
    { driver: 'directory', folder: socket.at, mounted: true, device: socket.device },
    ports,
  )) as RemovableMemory
let made = 0
const fresh = () => join(folder, `${++made}`)
const bytes = (n: number, seed: number) => Uint8Array.from({ length: n }, (_, i) => (i * 31 + seed * 7) & 255)
const codeOf = async (work: Promise<unknown>) => {
  try {
    await work
    return 'done'
  } catch (error) {
    if (!isProblem(error)) throw error
    return error.code
  }
}
async function contentOf(memory: RemovableMemory, name: string): Promise<Buffer> {
  const file = await memory.open(name)
  try {
    return Buffer.from(await file.read(0, file.sizeBytes))
  } finally {
    await file.close()
  }
}

for (const [what, medium] of [
  ['an ext4 on a loop device', () => StickImage.format(fresh())],
  ['a tmpfs', () => tmpfs(8 << 20)],
] as const)
  t.test(`S17: ${what} conforms`, (t) => {
    let socket = new Socket(fresh())
    return memoryConforms(t, {
      make: async () => {
        socket = new Socket(fresh())
        socket.plug(medium())
        return memoryAt(socket)
      },
      reopen: () => memoryAt(socket),
      pullOut: async () => socket.pull(),
      protect: async () => socket.remount('ro'),
      fill: async (memory) => {
        // Down to single blocks: what is left is less than the file that comes next.
        for (const size of [1 << 20, 65_536, 4096])
          for (let i = 0; (await codeOf(memory.put(`fill-${size}-${i}`, bytes(size, i), limit()))) === 'done'; i++);
      },
    })
  })

t.test(
  'S17: plugged in, pulled out and plugged in again while it is written and read, without a restart',
  async (t) => {
    const socket = new Socket(fresh())
    const stick = StickImage.format(fresh())
    const memory = await memoryAt(socket)
    t.equal(memory.isReady, false)
    t.equal(
      await codeOf(memory.put('a.bin', bytes(10, 1), limit())),
      'memory.absent',
      'the bare mount point is no medium',
    )
    t.same(readdirSync(socket.at), [], 'and nothing is written there')
    socket.plug(stick)
    t.equal(memory.isReady, true)
    await memory.put('kept.bin', bytes(300_000, 1), limit())
    const reading = await memory.open('kept.bin')

    // Pulled out at each piece of a write in turn.
    for (let at = 0; at < 5; at++) {
      async function* pieces() {
        for (let i = 0; i < 5; i++) {
          if (i === at) socket.pull()
          yield bytes(50_000, i)
        }
      }
      t.equal(await codeOf(memory.put('kept.bin', pieces(), limit())), 'memory.absent', `pulled at piece ${at}`)
      t.equal(memory.isReady, false)
      t.equal(await codeOf(memory.list()), 'memory.absent')
      t.equal(await codeOf(memory.open('kept.bin')), 'memory.absent')
      t.same(readdirSync(socket.at), [], 'nothing is left on the system’s own disk')
      socket.plug(stick)
      t.ok((await contentOf(memory, 'kept.bin')).equals(Buffer.from(bytes(300_000, 1))), 'the old one stands')
      t.same(await memory.list(), [{ name: 'kept.bin', sizeBytes: 300_000 }])
      t.same(
        readdirSync(socket.at).filter((name) => name.startsWith('.part')),
        [],
        'what was half written is tidied away',
      )
    }
    t.equal(await codeOf(reading.read(0, 10)), 'memory.absent', 'what was opened before is of another time')
    await reading.close()

    // The device's spool goes on by itself.
    const spool = memorySpool(memory)
    t.equal((await spool.read('kept.bin', 0, 100)).length, 100)
    socket.pull()
    t.equal(await codeOf(spool.read('kept.bin', 100, 100)), 'memory.absent')
    socket.plug(stick)
    t.ok(Buffer.from(await spool.read('kept.bin', 100, 100)).equals(Buffer.from(bytes(300_000, 1).subarray(100, 200))))

    // Another medium in its place while a file is written: it is not the one that was begun on.
    const other = StickImage.format(fresh())
    async function* swapped() {
      yield bytes(1000, 1)
      socket.pull()
      socket.plug(other)
      yield bytes(1000, 2)
    }
    t.equal(await codeOf(memory.put('b.bin', swapped(), limit())), 'memory.absent')
    t.same(await memory.list(), [])
    socket.pull()
    await memory.close()
  },
)

t.test('S17: read-only: mounted so, remounted so, in the middle of a write', async (t) => {
  const socket = new Socket(fresh())
  const stick = StickImage.format(fresh())
  const memory = await memoryAt(socket)
  socket.plug(stick)
  await memory.put('a.bin', bytes(1000, 1), limit())
  socket.remount('ro')
  t.equal(await codeOf(memory.put('b.bin', bytes(10, 1), limit())), 'memory.read-only')
  t.equal(await codeOf(memory.remove('a.bin')), 'memory.read-only')
  t.equal((await contentOf(memory, 'a.bin')).length, 1000, 'it can be read')
  socket.remount('rw')
  await memory.put('b.bin', bytes(10, 1), limit())
  socket.pull()
  socket.plug(stick, 'ro')
  t.equal(await codeOf(memory.put('c.bin', bytes(10, 1), limit())), 'memory.read-only')
  t.same(
    (await memory.list()).map(({ name }) => name),
    ['a.bin', 'b.bin'],
  )
  socket.pull()
})

t.test('S17: full: what is there stays, and room that is made is used', async (t) => {
  const socket = new Socket(fresh())
  const memory = await memoryAt(socket)
  socket.plug(tmpfs(1 << 20))
  await memory.put('a.bin', bytes(400_000, 1), limit())
  t.equal(await codeOf(memory.put('b.bin', bytes(800_000, 1), limit())), 'memory.full')
  t.same(await memory.list(), [{ name: 'a.bin', sizeBytes: 400_000 }])
  t.ok((await memory.freeBytes()) > 500_000, 'what did not fit takes no room')
  t.equal(await codeOf(memory.put('a.bin', bytes(700_000, 2), limit())), 'memory.full')
  t.ok(
    (await contentOf(memory, 'a.bin')).equals(Buffer.from(bytes(400_000, 1))),
    'nor does what would have replaced it',
  )
  await memory.remove('a.bin')
  await memory.put('b.bin', bytes(800_000, 1), limit())
  socket.pull()
})

t.test('S17: power pulled in mid-write: what was done is whole, what was not is old, new or not there', async (t) => {
  const socket = new Socket(fresh())
  const stick = StickImage.format(fresh(), 16)
  socket.plug(stick)
  const memory = await memoryAt(socket)
  const versions = new Map<string, Buffer[]>()
  const done = new Map<string, number>()
  for (let round = 0; round < 12; round++) {
    const name = `${round % 4}.bin`
    const kept = versions.get(name) ?? []
    const content = bytes(40_000 + round * 1000, round)
    versions.set(name, [...kept, Buffer.from(content)])
    let cut: StickImage | undefined
    async function* pieces() {
      for (let at = 0; at < content.length; at += 10_000) {
        if (at / 10_000 === round % 5) cut = stick.asAfterPowerCut(fresh())
        yield content.subarray(at, at + 10_000)
      }
    }
    await memory.put(name, pieces(), limit())
    cut ??= stick.asAfterPowerCut(fresh())
    const after = new Socket(fresh())
    after.plug(cut)
    const recovered = await memoryAt(after)
    const listed = (await recovered.list()).map((entry) => entry.name)
    for (const [one, count] of done) {
      t.ok(listed.includes(one), `${one} was done before the cut in round ${round}`)
      const found = await contentOf(recovered, one)
      t.ok(
        versions
          .get(one)!
          .slice(count - 1)
          .some((version) => version.equals(found)),
        `${one} is the version that was done, or the next`,
      )
    }
    for (const one of listed) {
      const found = await contentOf(recovered, one)
      t.ok(
        versions.get(one)?.some((version) => version.equals(found)),
        `${one} is a whole version of ours`,
      )
    }
    t.same(
      readdirSync(after.at).filter((left) => left.startsWith('.part')),
      [],
    )
    await recovered.put('more.bin', bytes(5000, 1), limit())
    after.pull()
    done.set(name, versions.get(name)!.length)
  }
  socket.pull()
})

t.test('S17: a medium that dies under the pen is not believed', async (t) => {
  // The stick's flash is smaller than it says: what it takes beyond that is lost when it is written through.
  const flash = new Socket(fresh())
  flash.plug(tmpfs(3 << 20))
  const socket = new Socket(fresh())
  socket.plug(StickImage.format(join(flash.at, 'image'), 32))
  const memory = await memoryAt(socket)
  await memory.put('a.bin', bytes(100_000, 1), limit())
  const codes: string[] = []
  for (let i = 0; i < 40 && !codes.at(-1)?.startsWith('storage'); i++)
    codes.push(await codeOf(memory.put(`${i}.bin`, bytes(200_000, i), limit())))
  t.match(codes.at(-1), /^(storage\.failed|memory\.read-only)$/, codes.join(' '))
  const whole = codes.filter((code) => code === 'done').length
  t.ok(whole * 200_000 < 3 << 20, `${whole} files were acknowledged, no more than there is flash`)
  socket.pull()
  flash.pull()
})

t.test('S17: a file system that the system does not understand is told, and a good one after it works', async (t) => {
  const socket = new Socket(fresh())
  const memory = await memoryAt(socket)
  t.equal(await codeOf(memory.list()), 'memory.absent')
  t.throws(() => socket.plug(StickImage.garbage(fresh())), { code: 'service.unavailable' }, 'mount refuses it')
  t.equal(await codeOf(memory.list()), 'memory.unreadable')
  t.equal(await codeOf(memory.put('a.bin', bytes(10, 1), limit())), 'memory.unreadable')
  t.equal(memory.isReady, false)
  rmSync(socket.device)
  t.equal(await codeOf(memory.list()), 'memory.absent', 'taken out again')
  socket.plug(StickImage.format(fresh()))
  await memory.put('a.bin', bytes(10, 1), limit())
  socket.pull()
  // A folder where the mount point should be, and a file.
  const plain = join(fresh(), 'plain')
  mkdirSync(plain, { recursive: true })
  writeFileSync(join(plain, 'x'), '')
  for (const at of [plain, join(plain, 'x'), join(plain, 'none')])
    t.equal(await codeOf((await memoryAt({ at, device: '/nonexistent' } as Socket)).list()), 'memory.absent')
})
