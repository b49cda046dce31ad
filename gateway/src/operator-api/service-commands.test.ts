/** Commands of services are carried out where the service runs: inside the gateway, apart, or on a closed folder (D6). */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { UsageError } from '@azukari/protocol/adapters/command-line'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { isProblem, Problem } from '@azukari/protocol/problem'
import t, { type Test } from 'tap'
import { connectToSite } from '../adapters/operator-socket.ts'
import { readSession } from '../adapters/session-file.ts'
import type { OpenService, ServiceCommandGroup, ServiceModule } from '../host/service-module.ts'
import { createAuthority, issue, type Role as PeerRole } from '../pki/authority.ts'
import type { Service } from '../service/service.ts'
import { throwUnlisted } from '../service/unlisted.ts'
import { silent } from '../test-contracts.ts'
import { noServices, operatedSite } from '../test-operator.ts'
import { CallClient } from '../transport/client.ts'
import { startCallServer } from '../transport/server.ts'
import { SpreadClient, type StreamCaller } from '../transport/spread-client.ts'
import { callSite } from './client.ts'
import type { Role } from './role.ts'
import type { ServiceDispatch } from './roles.ts'
import { commandHandlers, operatorCommandOf, serviceDispatch } from './service-commands.ts'
import { frame } from './wire.ts'

interface Toy extends OpenService {
  heard: string[]
  left: PromiseWithResolvers<void>
  ended: number
}

const mib = 1 << 20
const commands: ServiceCommandGroup<Toy> = {
  copy: {
    what: 'gives a file back twice, and says who asks',
    role: 'clerk',
    options: { folder: { type: 'string', what: '' }, out: { type: 'string', what: '' } },
    positionals: 'FILE',
    filesIn: ['FILE'],
    filesOut: ['out'],
    async carryOut({ heard }, act, values, positionals) {
      const { path, bytes } = act.file('FILE')
      heard.push([act.operator, ...act.people, act.language, values['out'], ...positionals].join(' '))
      for (const part of ['first', 'second']) act.tell(part)
      await act.give({ option: 'out', bytes })
      await act.give({ option: 'out', suffix: '.note', bytes: Uint8Array.of(bytes.length & 255) })
      return { json: { path, bytes: bytes.length }, text: 'copied', exit: 1 }
    },
  },
  wait: {
    what: 'shows something until the caller leaves',
    role: 'clerk',
    options: { folder: { type: 'string', what: '' } },
    async carryOut({ left }, { tell, signal }) {
      tell('begun')
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
      left.resolve()
      throw signal.reason
    },
  },
  refuse: {
    what: 'refuses',
    role: 'clerk',
    options: { folder: { type: 'string', what: '' }, how: { type: 'string', what: '' } },
    async carryOut(_open, _act, values) {
      if (values['how'] === 'words') throw new UsageError('--how is off')
      if (values['how'] === 'bug') throw new Error('a bug')
      throw new Problem('object.unknown', 'x')
    },
  },
  see: {
    what: 'takes a file by an option, or none',
    role: 'clerk',
    options: { folder: { type: 'string', what: '' }, file: { type: 'string', what: '' } },
    positionals: 'PLACE',
    filesIn: ['file'],
    carryOut: async (_open, act, values, positionals) => ({
      json: [...positionals, values['file'] === undefined ? 0 : act.file('file').bytes.length],
      text: '',
    }),
  },
  note: {
    what: 'does something that gives no file',
    role: 'clerk',
    options: { folder: { type: 'string', what: '' } },
    carryOut: async ({ heard }) => ({ json: heard.push('noted'), text: 'noted' }),
  },
  steal: {
    what: 'gives a file for an option that was not asked for',
    role: 'clerk',
    options: { folder: { type: 'string', what: '' } },
    async carryOut(_open, act) {
      await act.give({ option: 'folder', suffix: '.bashrc', bytes: new Uint8Array(1) })
      return { json: null, text: '' }
    },
  },
}

const toy: ServiceModule<Toy> = {
  name: 'content',
  what: 'a toy',
  databases: [],
  lock: 'toy.lock',
  port: 0,
  readsBuffer: false,
  peers: [],
  commands: { toys: async () => commands },
  open: async () => openToy(),
}

function openToy(): Toy {
  const toy: Toy = {
    service: { name: 'content' } as Service,
    handlers: [],
    close: async () => undefined,
    commandEnded: () => toy.ended++,
    heard: [],
    left: Promise.withResolvers(),
    ended: 0,
  }
  return toy
}

async function identities() {
  const validity = { nowMs: Date.now(), days: 1 }
  const authority = await createAuthority('tokyo', validity, systemRandom)
  return async (id: string, role: PeerRole) => {
    const { cert, key } = await issue(authority, { id, role }, validity, systemRandom)
    return { ca: authority.cert, cert, key }
  }
}

interface ApartToy {
  id?: string
  identity?: ReturnType<typeof identities>
  confirmed?: () => Promise<void>
}

/** The toy in a process of its own, as far as the gateway can see. */
async function apartToy(
  t: Test,
  open: () => Toy,
  { id = 'content', identity = identities(), confirmed = async () => undefined }: ApartToy = {},
): Promise<StreamCaller> {
  const tlsOf = await identity
  const handlers = commandHandlers(toy, open, { clock: systemClock, log: silent, confirmed })
  const server = await startCallServer({
    tls: await tlsOf(id, 'service'),
    handlers,
    clock: systemClock,
    log: silent,
    unlisted: throwUnlisted,
    port: 0,
  })
  const tls = await tlsOf('gateway', 'gateway')
  const client = new CallClient({ url: `https://127.0.0.1:${server.port}`, tls, server: id, clock: systemClock })
  t.teardown(() => server.stop(0))
  t.teardown(() => client.close())
  return client
}

const find = async (name: string) => {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  return command && operatorCommandOf('content', name, command as never)
}

async function siteWith(t: Test, services: ServiceDispatch, held: readonly Role[] = ['clerk']) {
  const folder = t.testdir()
  const { signIn } = await operatedSite(t, folder, { services, find })
  await signIn('hanako', held)
  return folder
}

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work
    return undefined
  } catch (error) {
    return isProblem(error) ? error.code : String(error)
  }
}

const ways = { inside: false, apart: true }
for (const [way, isApart] of Object.entries(ways)) {
  const services = async (t: Test, open: Toy) => {
    const client = isApart ? await apartToy(t, () => open) : undefined
    return serviceDispatch({
      modules: [toy as ServiceModule],
      inside: () => (isApart ? undefined : open),
      apart: () => client,
      each: () => [],
    })
  }

  t.test(`D6: a command of a service ${way} takes a file, tells of its progress, and gives files`, async (t) => {
    const open = openToy()
    const folder = await siteWith(t, await services(t, open))
    const [source, out] = [join(folder, 'source'), join(folder, 'out')]
    const bytes = systemRandom.bytes(3 * mib + 7)
    writeFileSync(source, bytes)
    const told = t.capture(console, 'error')
    const answer = await callSite('copy', { folder, out }, [source], commands['copy'])
    t.same(answer, { json: { path: source, bytes: bytes.length }, text: 'copied', exit: 1 })
    t.same(
      told().map(({ args }) => args[0]),
      ['first', 'second'],
    )
    t.ok(Buffer.from(bytes).equals(readFileSync(out)))
    t.equal(statSync(out).mode & 0o777, 0o600, 'for whoever asked alone')
    t.same([...readFileSync(`${out}.note`)], [bytes.length & 255])
    t.same(open.heard, [`hanako hanako en ${out} ${source}`])
  })

  t.test(
    `D6: a file by an option goes to a service ${way} when it is given, and nothing else is taken for it`,
    async (t) => {
      const folder = await siteWith(t, await services(t, openToy()))
      const file = join(folder, 'file')
      writeFileSync(file, new Uint8Array(5))
      const asked = (given: object) => callSite('see', { folder, ...given }, ['https://a.example/'], commands['see'])
      t.match(await asked({ file }), { json: ['https://a.example/', 5] })
      t.match(await asked({ file: undefined }), { json: ['https://a.example/', 0] })
    },
  )

  t.test(`D6: what a service ${way} refuses is told as it is, and a bug as one`, async (t) => {
    const folder = await siteWith(t, await services(t, openToy()))
    t.equal(await codeOf(callSite('refuse', { folder }, [])), 'object.unknown')
    const words = await callSite('refuse', { folder, how: 'words' }, []).catch((error: unknown) => error)
    t.ok(words instanceof UsageError, 'words that are off, as such')
    t.equal(await codeOf(callSite('refuse', { folder, how: 'bug' }, [])), 'internal')
  })

  t.test(`D6: a command of a service ${way} hears that its caller went away`, async (t) => {
    const open = openToy()
    const folder = await siteWith(t, await services(t, open))
    const socket = await connectToSite(folder)
    socket.write(frame({ token: readSession(folder)?.token, command: 'wait', values: { folder }, positionals: [] }))
    await new Promise((begun) => socket.once('data', begun))
    socket.destroy()
    await open.left.promise
    t.pass('it ended')
  })
}

t.test('D6: a file is written where the call says, and nowhere else', async (t) => {
  const open = openToy()
  const inside = serviceDispatch({
    modules: [toy as ServiceModule],
    inside: () => open,
    apart: () => undefined,
    each: () => [],
  })
  const folder = await siteWith(t, inside)
  writeFileSync(join(folder, 'source'), 'x')
  t.equal(await codeOf(callSite('steal', { folder }, [], { filesOut: ['out'] })), 'message.invalid')
  t.notOk(existsSync(`${folder}.bashrc`))
  mkdirSync(join(folder, 'there'))
  for (const out of [join(folder, 'there'), join(folder, 'none/out')])
    t.equal(
      await codeOf(callSite('copy', { folder, out }, [join(folder, 'source')], commands['copy'])),
      'command.invalid',
    )
  const huge = join(folder, 'huge')
  closeSync(openSync(huge, 'w'))
  truncateSync(huge, 8 * 1024 * mib)
  t.equal(await codeOf(callSite('copy', { folder }, [huge], commands['copy'])), 'message.too-large')
  t.same(open.heard, [], 'told before anything was done')
  t.equal(await codeOf(callSite('copy', { folder }, [join(folder, 'none')], commands['copy'])), 'command.invalid')
  t.equal(await codeOf(callSite('copy', { folder, out: join(folder, 'out') }, [], commands['copy'])), 'config.invalid')
})

t.test('D6: files of somebody without the role are not even read, nor more than was announced', async (t) => {
  const open = openToy()
  const services = serviceDispatch({
    modules: [toy as ServiceModule],
    inside: () => open,
    apart: () => undefined,
    each: () => [],
  })
  const folder = t.testdir()
  const { signIn } = await operatedSite(t, folder, { services, find })
  const call = { command: 'copy', values: { folder, out: '/nowhere' }, positionals: ['x'] }
  const answered = async (files: unknown, ...more: Uint8Array[]) => {
    const socket = await connectToSite(folder)
    socket.write(frame({ ...call, token: readSession(folder)?.token, files }))
    for (const bytes of more) socket.write(bytes)
    const heard: Buffer[] = []
    socket.on('data', (data) => heard.push(data)).on('error', () => undefined)
    await new Promise((closed) => socket.once('close', closed))
    return Buffer.concat(heard).toString('latin1')
  }
  await signIn('fleet', ['fleet'])
  t.match(await answered([{ name: 'FILE', sizeBytes: 64 * mib }]), /operator\.forbidden/)
  await signIn('clerk', ['clerk'])
  t.match(await answered([{ name: 'FILE', sizeBytes: 64 * mib + 1 }]), /message\.invalid/)
  const two = [{ name: 'FILE', sizeBytes: 2 }]
  t.match(await answered(two, frame({ chunk: new Uint8Array(3) })), /longer than announced/)
  t.match(await answered(two, frame({ chunk: new Uint8Array(0) })), /message\.invalid/)
  const many = Array.from({ length: 4 }, (_, i) => ({ name: `F${i}`, sizeBytes: 64 * mib }))
  t.match(await answered(many), /quota\.exceeded/)
  t.same(open.heard, [])
})

t.test('D6 P9: of two processes the one that leads carries a command out, files and all', async (t) => {
  const identity = identities()
  const [first, second] = [openToy(), openToy()]
  const follows = await apartToy(
    t,
    () => {
      throw new Problem('centre.not-leader')
    },
    { identity },
  )
  const pair = new SpreadClient(
    [follows, await apartToy(t, () => second, { id: 'content-backup', identity })],
    systemClock,
  )
  const folder = await siteWith(
    t,
    serviceDispatch({ modules: [toy as ServiceModule], inside: () => undefined, apart: () => pair, each: () => [] }),
  )
  writeFileSync(join(folder, 'source'), 'abc')
  const out = join(folder, 'out')
  t.match(await callSite('copy', { folder, out }, [join(folder, 'source')], commands['copy']), { json: { bytes: 3 } })
  t.equal(readFileSync(out, 'utf8'), 'abc')
  t.same([first.heard.length, second.heard.length], [0, 1])
})

t.test('P9: no file and no answer leaves a centre before the other one has what was done', async (t) => {
  const open = openToy()
  const asked = Promise.withResolvers<void>()
  const safe = Promise.withResolvers<void>()
  const confirmed = () => {
    asked.resolve()
    return safe.promise
  }
  const client = await apartToy(t, () => open, { confirmed })
  const services = serviceDispatch({
    modules: [toy as ServiceModule],
    inside: () => undefined,
    apart: () => client,
    each: () => [],
  })
  const folder = await siteWith(t, services)
  const [source, out] = [join(folder, 'source'), join(folder, 'out')]
  writeFileSync(source, 'x')
  const copied = callSite('copy', { folder, out }, [source], commands['copy'])
  await asked.promise
  t.notOk(existsSync(out), 'it is done, and not told')
  safe.reject(new Problem('centre.unconfirmed'))
  t.equal(await codeOf(copied), 'centre.unconfirmed')
  t.notOk(existsSync(out))
  t.equal(await codeOf(callSite('note', { folder }, [])), 'centre.unconfirmed', 'an answer without a file, too')
  t.equal(open.ended, 2, 'the service looks at what it has to do')
})

t.test('D6: a service that does not run is told as such', async (t) => {
  const none = serviceDispatch({
    modules: [toy as ServiceModule],
    inside: () => undefined,
    apart: () => undefined,
    each: () => [],
  })
  const folder = await siteWith(t, none)
  t.equal(await codeOf(callSite('refuse', { folder }, [])), 'service.unavailable')
  t.equal(await codeOf(noServices.carryOut('content', 'x', {} as never, {}, [])), 'service.unavailable')
})
