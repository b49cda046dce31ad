/** `azukari-gateway acl`: rules for a broker that is not ours. */
import { writeFileSync } from 'node:fs'
import type { Command } from '@azukari/protocol/adapters/command'
import { text } from '@azukari/protocol/adapters/command-line'
import { Problem } from '@azukari/protocol/problem'
import { mosquittoAcl } from '../broker/acl.ts'
import { discoveryPrefix, telemetryTopics } from '../telemetry/topics.ts'
import { site } from './site-options.ts'

export const brokerCommands: Record<string, Command> = {
  acl: {
    what: 'Prints access rules for a broker that is not ours.',
    options: {
      site,
      broker: { type: 'string', what: 'which broker', default: 'mosquitto' },
      user: { type: 'string', what: 'the gateway’s user there', default: 'azukari-gateway' },
      reader: { type: 'string', what: 'a user there that may read telemetry; may be repeated', multiple: true },
      prefix: { type: 'string', what: 'discovery prefix of Home Assistant', default: discoveryPrefix },
      devices: { type: 'boolean', what: 'only the devices’ rules, for a listener of their own' },
      out: { type: 'string', what: 'file to write' },
    },
    async run(values) {
      if (values['broker'] !== 'mosquitto')
        throw new Problem('config.invalid', `broker ${values['broker']} is not known; mosquitto is`)
      const readers = (values['reader'] as string[] | undefined) ?? []
      for (const name of [text(values, 'user'), ...readers])
        if (!/^[\w.@-]{1,64}$/.test(name)) throw new Problem('config.invalid', `${name} cannot be a user name there`)
      const telemetry = { prefix: text(values, 'prefix'), readers }
      telemetryTopics(text(values, 'site'), telemetry.prefix)
      const user = values['devices'] === true ? undefined : text(values, 'user')
      const rules = mosquittoAcl(text(values, 'site'), user, readers.length > 0 ? telemetry : undefined)
      if (values['out']) writeFileSync(String(values['out']), rules)
      return { json: { rules }, text: rules }
    },
  },
}
