/** One act, made from a call and what came along with it. */
import { Problem } from '@azukari/protocol/problem'
import { partName, pathsOf } from './file-names.ts'
import type { CallFile, Progress, ServiceAct } from './roles.ts'
import type { Call } from './wire.ts'

/** Where a call from another machine comes in. */
export interface RemoteCaller {
  /** By which strangers are counted. */
  address: string
  /** The name under which the site was reached. */
  authority: string
  /** Who signed in is counted as operator from now on. @throws {Problem} `quota.exceeded`, `service.busy` */
  prove(operator: string): void
}

/** How a call is heard and answered, wherever it comes from. */
export interface CallPort extends Progress {
  /** Absent at the socket. */
  remote?: RemoteCaller | undefined
  /** Aborted when the caller goes away. */
  signal: AbortSignal
  /** The bytes of the files that the call announces: asked for only once it is known who calls. */
  files(): Promise<ReadonlyMap<string, Uint8Array>>
}

export function serviceAct(
  call: Pick<Call, 'values' | 'positionals' | 'language'>,
  files: ReadonlyMap<string, Uint8Array>,
  who: Pick<ServiceAct, 'operator' | 'people' | 'siteUrl'>,
  port: Pick<CallPort, 'tell' | 'give' | 'signal'>,
): ServiceAct {
  const filesOf = (name: string): CallFile[] =>
    pathsOf(name, call.values, call.positionals).flatMap((path, at) => {
      const bytes = files.get(partName(name, at))
      return bytes ? [{ path, bytes }] : []
    })
  return {
    ...who,
    language: call.language ?? 'en',
    signal: port.signal,
    tell: (line) => port.tell(line),
    give: (file) => port.give(file),
    file: (name) => {
      const [file] = filesOf(name)
      if (!file) throw new Problem('config.invalid', `which file? ${name}`)
      return file
    },
    files: filesOf,
  }
}
