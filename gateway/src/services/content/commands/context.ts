/** What content's commands act with: the service as it runs. */
import { Problem } from '@azukari/protocol/problem'
import type { OpenService, ServiceCommandGroup } from '../../../host/service-module.ts'
import type { SitePorts } from '../../../site-folder.ts'
import type { ContentService } from '../service.ts'

export interface ContentContext extends OpenService {
  content: ContentService
  ports: SitePorts
}

export type ContentCommands = ServiceCommandGroup<ContentContext>

/** An id of 32 hexadecimal digits, which the contract has checked. @throws {Problem} `content.unknown` */
export function idOf(given: string): Uint8Array {
  if (!/^[0-9a-f]{32}$/.test(given)) throw new Problem('content.unknown', given)
  return new Uint8Array(Buffer.from(given, 'hex'))
}
