/** What goes wrong with a site's PostgreSQL (D4, D5, docs/decisions/0034): each is a coded problem, and what was there comes back by itself. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Stores, storeFile } from '@azukari/gateway/adapters/stores'
import { createServiceHost, type ServiceHost } from '@azukari/gateway/service/host'
import { act, type ServiceReply } from '@azukari/gateway/service/service'
import { throwUnlisted } from '@azukari/gateway/service/unlisted'
import { putOnPostgres } from '@azukari/gateway/test-database'
import { systemClock } from '@azukari/protocol/adapters/clock'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { contract, Type } from '@azukari/protocol/contract'
import pg from 'pg'
import t, { type Test } from 'tap'
import { quietLog } from '../testkit/log.ts'
import { type PostgresCluster, postgresPrograms, startPostgres } from '../testkit/postgres.ts'
import { until } from './wait.ts'

const skip = postgresPrograms() ? false : 'no PostgreSQL here'

const note = contract({
  name: 'toy.note',
  kind: 'act',
  service: 'placement',
  authority: 'device',
  title: 'a note',
  serves: [],
  request: Type.Object({ text: Type.String() }),
  reply: Type.Object({ notes: Type.Integer() }),
})

interface Toy {
  folder: string
  /** URL of its database, as the superuser. */
  url: string
  host: ServiceHost
  /** The same act until there is an answer that is none of "later". */
  insist(seq: number): Promise<ServiceReply>
  once(seq: number): Promise<ServiceReply>
}

/** A service on a cluster; @param by another port, where a go-between listens. */
async function toyOn(t: Test, cluster: PostgresCluster, by = cluster.port): Promise<Toy> {
  const folder = mkdtempSync(join(tmpdir(), 'azukari-faults-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  process.env['AZUKARI_TEST_POSTGRES'] = cluster.url
  const url = await putOnPostgres(folder)
  const settings = readFileSync(`${folder}/${storeFile}`, 'utf8').replace(`:${cluster.port}/`, `:${by}/`)
  writeFileSync(`${folder}/${storeFile}`, settings)
  writeFileSync(`${folder}/site.pub`, 'a key')
  const stores = Stores.of(folder)
  const host = await createServiceHost({
    name: 'placement',
    database: await stores.open('toy/toy.db', true),
    clock: systemClock,
    random: systemRandom,
    log: quietLog,
    unlisted: throwUnlisted,
    migrations: [{ number: 1, name: 'notes', up: 'CREATE TABLE notes (n INTEGER PRIMARY KEY, text TEXT NOT NULL)' }],
    handlers: [
      act(note, async ({ text }, { sql }) => {
        const { n } = (await sql.get<{ n: number }>('SELECT count(*) AS n FROM notes'))!
        await sql.run('INSERT INTO notes (n, text) VALUES (?, ?)', n + 1, text)
        return { notes: n + 1 }
      }),
    ],
  })
  await host.start()
  t.teardown(async () => {
    await host.stop()
    await stores.close()
  })
  const stream = systemRandom.bytes(16)
  const id = (seq: number) => new Uint8Array(16).fill(seq)
  const once = (seq: number) =>
    host.handle({
      caller: { device: 'd', region: 'JP-13', roles: [] },
      contract: note.id,
      id: id(seq),
      atMs: 1,
      body: { text: String(seq) },
      act: { stream, seq },
    })
  const insist = (seq: number) =>
    until('an answer', async () => {
      const reply = await once(seq)
      return reply.problem?.retry === 'later' ? undefined : reply
    })
  return { folder, url, host, once, insist }
}

async function clusterFor(t: Test): Promise<PostgresCluster> {
  const cluster = await startPostgres()
  t.teardown(() => cluster[Symbol.asyncDispose]())
  return cluster
}

t.test(
  'D4 D5: gone, stopped at once, started again: acts are told to come later, and come back by themselves',
  { skip },
  async (t) => {
    const cluster = await clusterFor(t)
    const toy = await toyOn(t, cluster)
    t.match(await toy.insist(1), { body: { notes: 1 } })
    for (const [round, signal] of (['SIGQUIT', 'SIGKILL', 'SIGINT'] as const).entries()) {
      await cluster.kill(signal)
      for (let tries = 0; tries < 3; tries++)
        t.match(await toy.once(round + 2), { problem: { code: 'storage.unreachable', retry: 'later' } })
      await cluster.start()
      t.match(await toy.insist(round + 2), { body: { notes: round + 2 } }, `after ${signal}`)
      t.match(await toy.once(round + 2), { body: { notes: round + 2 } }, 'done once')
    }
  },
)

t.test('D4 D5: full: nothing of the act remains, and it is done when there is room', { skip }, async (t) => {
  const cluster = await clusterFor(t)
  const toy = await toyOn(t, cluster)
  await toy.insist(1)
  const admin = new pg.Client({ connectionString: toy.url })
  await admin.connect()
  // As the server says it of a disk without room, after the row was written.
  await admin.query(`CREATE FUNCTION toy.full() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$`)
  await admin.query('CREATE TRIGGER no_room AFTER INSERT ON toy.notes FOR EACH ROW EXECUTE FUNCTION toy.full()')
  for (let tries = 0; tries < 2; tries++)
    t.match(await toy.once(2), { problem: { code: 'storage.full', retry: 'later' } })
  await admin.query('DROP TRIGGER no_room ON toy.notes')
  await admin.end()
  t.match(await toy.insist(2), { body: { notes: 2 } })
})

t.test('D4 D5: what waits for a transaction that conflicts for ever is told to come later', { skip }, async (t) => {
  const cluster = await clusterFor(t)
  const toy = await toyOn(t, cluster)
  const admin = new pg.Client({ connectionString: toy.url })
  await admin.connect()
  await admin.query(`CREATE FUNCTION toy.always() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END $$`)
  await admin.query('CREATE TRIGGER always AFTER INSERT ON toy.notes FOR EACH ROW EXECUTE FUNCTION toy.always()')
  t.match(await toy.once(1), { problem: { code: 'service.busy', retry: 'later' } })
  await admin.query('DROP TRIGGER always ON toy.notes')
  await admin.end()
  t.match(await toy.insist(1), { body: { notes: 1 } })
})

t.test(
  'D4 D5: lines that break under way, and a fail-over to a standby: nothing acknowledged is lost',
  { skip },
  async (t) => {
    const first = await clusterFor(t)
    let port = first.port
    const lines = new Set<Socket>()
    // Where a site's address of the database leads: a load balancer, or an address that moves.
    const between = createServer((socket) => {
      const onward = connect(port, '127.0.0.1')
      for (const [one, other] of [
        [socket, onward],
        [onward, socket],
      ] as const) {
        lines.add(one)
        one.on('error', () => other.destroy())
        one.on('close', () => other.destroy())
        one.pipe(other)
      }
    }).listen(0, '127.0.0.1')
    t.teardown(() => between.close())
    const cut = () => {
      for (const line of lines) line.destroy()
      lines.clear()
    }
    await new Promise((resolve) => between.once('listening', resolve))
    const toy = await toyOn(t, first, (between.address() as { port: number }).port)
    await toy.insist(1)
    cut()
    t.match(await toy.insist(2), { body: { notes: 2 } })

    const standby = await first.standby()
    t.teardown(() => standby[Symbol.asyncDispose]())
    t.match(await toy.insist(3), { body: { notes: 3 } }, 'committed on both')
    port = standby.port
    await first.kill('SIGKILL')
    cut()
    t.match(await toy.once(4), { problem: { retry: 'later' } }, 'a standby takes no writes')
    await standby.promote()
    t.match(await toy.insist(4), { body: { notes: 4 } })
    t.match(await toy.insist(3), { body: { notes: 3 } }, 'and it has what was acknowledged')
  },
)

t.test(
  'D4: beyond this machine the server is authenticated: by its authority, and by no other',
  { skip },
  async (t) => {
    const cluster = await clusterFor(t)
    const folder = mkdtempSync(join(tmpdir(), 'azukari-tls-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' })
    const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
    for (const name of ['ca', 'other'])
      openssl('req', '-x509', ...curve, '-keyout', `${name}.key`, '-out', `${name}.pem`, '-subj', `/CN=${name}`)
    const issue = (name: string, alternative: string) => {
      openssl('req', ...curve, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', '/CN=db')
      writeFileSync(join(folder, 'names'), `subjectAltName=${alternative}\n`)
      openssl(
        'x509',
        '-req',
        '-in',
        `${name}.csr`,
        '-CA',
        'ca.pem',
        '-CAkey',
        'ca.key',
        '-out',
        `${name}.pem`,
        '-extfile',
        'names',
      )
    }
    issue('server', 'IP:127.0.0.1,IP:::ffff:127.0.0.1')
    issue('elsewhere', 'DNS:db.example')

    const admin = new pg.Client({ connectionString: cluster.url })
    await admin.connect()
    t.teardown(() => admin.end())
    const serve = async (name: string) => {
      for (const kind of ['key', 'pem']) {
        const text = readFileSync(join(folder, `${name}.${kind}`)).toString('base64')
        await admin.query(`COPY (SELECT '${text}') TO PROGRAM 'base64 -d > server.${kind} && chmod 600 server.${kind}'`)
      }
      await admin.query(`ALTER SYSTEM SET ssl = on`)
      await admin.query(`ALTER SYSTEM SET ssl_cert_file = 'server.pem'`)
      await admin.query('SELECT pg_reload_conf()')
    }
    // An address that is not written as one of this machine, so that what a site beyond it does is done.
    const site = mkdtempSync(join(tmpdir(), 'azukari-tls-site-'))
    t.teardown(() => rmSync(site, { recursive: true, force: true }))
    process.env['AZUKARI_TEST_POSTGRES'] = cluster.url
    await putOnPostgres(site)
    writeFileSync(`${site}/site.pub`, 'a key')
    const local = JSON.parse(readFileSync(`${site}/${storeFile}`, 'utf8'))
    const url = local.url.replace('127.0.0.1', '[::ffff:127.0.0.1]')
    const openBy = async (ca: string) => {
      writeFileSync(`${site}/${storeFile}`, JSON.stringify({ ...local, url, ca: join(folder, ca) }))
      const stores = Stores.of(site)
      try {
        const database = await stores.open('toy/toy.db')
        return await database.get('SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
      } finally {
        await stores.close()
      }
    }
    await t.rejects(openBy('ca.pem'), { code: 'storage.unreachable', retry: 'later' }, 'a server without TLS')
    await serve('server')
    await until('TLS', () => openBy('ca.pem').catch(() => undefined))
    t.match(await openBy('ca.pem'), { ssl: 1, version: /^TLSv1\.[23]$/ })
    await t.rejects(openBy('other.pem'), { code: 'storage.unreachable', message: /certificate is refused/ })
    await serve('elsewhere')
    const refused = () =>
      openBy('ca.pem').then(
        () => undefined,
        (error: Error) => error,
      )
    t.match(await until('the other certificate', refused), {
      code: 'storage.unreachable',
      message: /refused: ERR_TLS_CERT_ALTNAME/,
    })
  },
)

t.test('D4: a password or a database that the server does not know is told, and is no bug', { skip }, async (t) => {
  const cluster = await clusterFor(t)
  const folder = mkdtempSync(join(tmpdir(), 'azukari-faults-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  process.env['AZUKARI_TEST_POSTGRES'] = cluster.url
  await putOnPostgres(folder)
  const settings = JSON.parse(readFileSync(`${folder}/${storeFile}`, 'utf8'))
  writeFileSync(`${folder}/${storeFile}`, JSON.stringify({ ...settings, url: `${settings.url}_gone` }))
  await t.rejects(Stores.of(folder).open('toy/toy.db'), { code: 'storage.unreachable', message: /3D000/ })
  writeFileSync(`${folder}/${storeFile}`, JSON.stringify(settings))
  writeFileSync(`${folder}/postgres-password`, 'wrong')
  await t.rejects(Stores.of(folder).open('toy/toy.db'), { code: 'storage.unreachable', message: /28P01/ })
})
