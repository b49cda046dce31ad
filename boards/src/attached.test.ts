/** What doctor finds where this machine has no such thing: cameras as the kernel tells of them (S17). */
import { systemClock as clock } from '@azukari/protocol/adapters/clock'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom as random } from '@azukari/protocol/adapters/random'
import type { Files, Log } from '@azukari/protocol/ports'
import t from 'tap'
import { attached } from './attached.ts'

const silent = () => undefined
const log: Log = { debug: silent, info: silent, warn: silent, error: silent, child: () => log }
const signal = new AbortController().signal
/** Files as /sys has them: of a camera the second node gives no pictures. */
const tree: Readonly<Record<string, string>> = {
  'video9990/name': 'HD Webcam C920\n',
  'video9990/index': '0\n',
  'video9991/name': 'HD Webcam C920\n',
  'video9991/index': '1\n',
}
const place = '/sys/class/video4linux'
const system = systemFiles()
const files: Files = {
  ...system,
  list: async (directory) => (directory === place ? ['video9990', 'video9991'] : system.list(directory)),
  open: async (path, mode) => {
    const text = path.startsWith(`${place}/`) ? tree[path.slice(place.length + 1)] : undefined
    if (text === undefined) return system.open(path, mode)
    const handle = await system.open('/dev/null', 'read')
    return Object.assign(Object.create(handle), { read: async () => Buffer.from(text), close: () => handle.close() })
  },
}
const cameras = async (board?: unknown) =>
  (await attached({ clock, files, log, random, signal, board })).filter(({ what }) => what === 'cameras')

t.test(
  'S17: USB cameras are found once each; one that the board names and that is not there is a problem',
  async (t) => {
    const found = await cameras()
    t.equal(found.length, 1)
    t.match(found[0], {
      state: 'ok',
      fact: /HD Webcam C920 \(\/dev\/video9990\).*not in the board/,
      todo: /"camera": \{ "driver": "v4l2", "path": "\/dev\/video9990" \}/,
      add: { part: 'camera', definition: { driver: 'v4l2', path: '/dev/video9990' } },
    })
    const parts = { camera: { driver: 'v4l2', path: '/dev/video9990' } }
    const [named] = await cameras({ model: 'x', what: 'x', parts })
    t.match(named, { state: 'problem', fact: /ENOENT/ })
    t.notOk(named?.add, 'it need not be added')
    t.ok((await cameras('pc-counter'))[0]?.add, 'a board by name has another')
    await t.rejects(cameras({ model: 1 }), { code: 'config.invalid' })
  },
)
