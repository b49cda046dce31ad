/** Access rules for brokers that are not ours, from the same table as our own (ARCHITECTURE §4). */
import { topicTable } from '@azukari/protocol/topics'
import { statusTopic } from '../telemetry/topics.ts'

/** What telemetry needs on a broker that is not ours (D6). */
export interface TelemetryRules {
  /** Discovery prefix of Home Assistant. */
  prefix: string
  /** Users there that may read. */
  readers: readonly string[]
}

/**
 * An ACL file for Mosquitto: each client id its own topics, the gateway's user all of the site's. What a device says is
 * sealed or signed, so these rules keep order, not secrets.
 * @param gatewayUser left out for a listener that is only for devices, where nobody checks user names
 * @param telemetry when the gateway publishes it; never on the devices' listener
 */
export function mosquittoAcl(site: string, gatewayUser?: string, telemetry?: TelemetryRules): string {
  const lines = [
    `# Azukari: site ${site}. Made by \`azukari-gateway acl --broker mosquitto\`; give it as acl_file.`,
    '# Set max_queued_messages 0 (Mosquitto drops QoS 1 silently at its default) and message_size_limit 262144.',
    '',
    ...(gatewayUser === undefined ? [] : [`user ${gatewayUser}`, `topic readwrite v1/${site}/#`]),
    ...(gatewayUser === undefined || !telemetry ? [] : telemetryRules(site, telemetry)),
    ...(gatewayUser === undefined ? [] : ['']),
    '# Every device: %c is the client id, which must be the device id.',
  ]
  for (const row of topicTable) {
    const pattern = row.pattern
      .replace('{site}', site)
      .replace('{device}', '%c')
      .replace(/\{(op|kind|xfer|index)\}/g, '+')
    lines.push(`pattern ${row.by === 'device' ? 'write' : 'read'} ${pattern}`)
  }
  return `${lines.join('\n')}\n`
}

/** Continues the gateway's own rules, then gives each reader its own. */
function telemetryRules(site: string, { prefix, readers }: TelemetryRules): string[] {
  return [
    `topic write azukari/${site}/#`,
    `topic write ${prefix}/device/+/config`,
    ...readers.flatMap((reader) => [
      '',
      `user ${reader}`,
      `topic read azukari/${site}/#`,
      `topic read ${prefix}/#`,
      `topic readwrite ${statusTopic(prefix)}`,
    ]),
  ]
}
