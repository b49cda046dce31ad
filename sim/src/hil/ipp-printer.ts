/**
 * CUPS's reference IPP Everywhere printer, with the message bus and the service announcer that it insists on, all in a
 * network namespace of their own (they listen on every address). It is reached through a Unix socket and a port of
 * loopback that is ours. Paper is taken away and jams are made by what its print command says of the printer's state.
 */
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '../site/wait.ts'
import { type Apart, startApart } from './apart.ts'

const port = 8631

export class ReferencePrinter {
  readonly #folder: string
  #programs: Apart | undefined
  #bridge: Server | undefined
  #port = 0

  private constructor(folder: string) {
    this.#folder = folder
  }

  get url(): string {
    return `ipp://127.0.0.1:${this.#port}/ipp/print`
  }

  /** The message bus on which it is announced, as DBUS_SYSTEM_BUS_ADDRESS has it. */
  get bus(): string {
    return `unix:path=${this.#folder}/bus`
  }

  static async start(): Promise<ReferencePrinter> {
    const printer = new ReferencePrinter(await mkdtemp(join(tmpdir(), 'azukari-ipp-')))
    await printer.#start()
    return printer
  }

  async #start(): Promise<void> {
    const folder = this.#folder
    await writeFile(
      join(folder, 'bus.conf'),
      `<busconfig><type>system</type><listen>unix:path=${folder}/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_type="signal"/>
<allow send_requested_reply="true"/><allow receive_requested_reply="true"/><allow send_destination="*"/></policy></busconfig>`,
    )
    await writeFile(
      join(folder, 'avahi.conf'),
      '[server]\nallow-interfaces=lo\nuse-ipv6=no\nenable-dbus=yes\n[publish]\npublish-hinfo=no\n',
    )
    // The page is what lies in the file named by the last argument; what the printer is like is told on standard error.
    const command = join(folder, 'print.sh')
    // What it is asked to cancel it would print all the same: so the command asks whether it still should.
    await writeFile(
      join(folder, 'job.ipp'),
      `{ OPERATION Get-Job-Attributes GROUP operation-attributes-tag
ATTR charset attributes-charset utf-8 ATTR naturalLanguage attributes-natural-language en
ATTR uri printer-uri ipp://127.0.0.1:${port}/ipp/print ATTR integer job-id $job DISPLAY job-state DISPLAY job-state-reasons }
`,
    )
    await writeFile(
      command,
      `#!/bin/sh
cancelled() { ipptool -c -d job=$IPP_JOB_ID ipp://127.0.0.1:${port}/ipp/print ${folder}/job.ipp | grep -qE 'cancel|to-stop-point'; }
while [ -e ${folder}/state ]; do
  for reason in $(cat ${folder}/state); do echo "STATE: +$reason" >&2; done
  if cancelled; then break; fi
  sleep 0.1
done
while [ -e ${folder}/state ]; do sleep 0.1; done
echo "STATE: -media-empty,media-jam" >&2
if [ -e ${folder}/liar ] || cancelled; then exit 0; fi
sleep 0.2
cp "$1" ${folder}/page-$(date +%s%N).jpg
echo "ATTR: job-impressions=1 job-impressions-completed=1 job-media-sheets-completed=1" >&2
`,
    )
    await chmod(command, 0o755)
    const script = [
      `dbus-daemon --config-file=${folder}/bus.conf --nofork --nopidfile &`,
      `until [ -e ${folder}/bus ]; do sleep 0.05; done`,
      `export DBUS_SYSTEM_BUS_ADDRESS=unix:path=${folder}/bus`,
      `avahi-daemon --no-drop-root --no-chroot --no-rlimits --file ${folder}/avahi.conf &`,
      'until [ -e /run/avahi-daemon/socket ]; do sleep 0.05; done',
      `socat UNIX-LISTEN:${folder}/http,fork,unlink-early TCP:127.0.0.1:${port} &`,
      `ippeveprinter -p ${port} -n localhost -d ${folder} -c ${command} -f image/jpeg,application/pdf -s 60,60 "Azukari test" &`,
    ].join('\n')
    await mkdir(join(folder, 'avahi'))
    this.#programs = startApart('the printer', script, { '/run/avahi-daemon': join(folder, 'avahi') })
    const bridge = createServer((near) => {
      const far = connect(join(folder, 'http'))
      near.pipe(far).pipe(near)
      const cut = () => {
        near.destroy()
        far.destroy()
      }
      for (const end of [near, far]) end.on('error', cut)
    })
    this.#bridge = bridge
    await new Promise<void>((resolve) => bridge.listen(0, '127.0.0.1', resolve))
    this.#port = (bridge.address() as { port: number }).port
    const answers = async () => {
      if (!existsSync(join(folder, 'http'))) return false
      return fetch(`http://127.0.0.1:${this.#port}/`, { signal: AbortSignal.timeout(1000) }).then(
        async (reply) => (await reply.text()).length > 0,
        () => false,
      )
    }
    await Promise.race([until('the printer', answers), this.#programs.ended])
  }

  /** JPEGs of what came out, oldest first. */
  async pages(): Promise<Uint8Array[]> {
    const names = (await readdir(this.#folder)).filter((name) => name.startsWith('page-')).sort()
    return Promise.all(names.map((name) => readFile(join(this.#folder, name))))
  }

  /** From now on jobs meet this: `media-empty`, `media-jam`; undefined mends it. */
  async trouble(reason: string | undefined): Promise<void> {
    const path = join(this.#folder, 'state')
    if (reason) await writeFile(path, reason)
    else await rm(path, { force: true })
  }

  /** It says "completed" and prints nothing. */
  async lie(isLying: boolean): Promise<void> {
    const path = join(this.#folder, 'liar')
    if (isLying) await writeFile(path, '')
    else await rm(path, { force: true })
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => (this.#bridge ? this.#bridge.close(() => resolve()) : resolve()))
    await this.#programs?.stop()
    await rm(this.#folder, { recursive: true, force: true })
  }
}
