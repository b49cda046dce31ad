/**
 * MQTT topics (ARCHITECTURE §4): `v1/{site}/d/{device}/…`. Built and parsed here only, so that the access rules of any
 * broker can be generated from the same table.
 */
import { Problem } from './problem.ts'

export const slugPattern = /^[a-z0-9-]{1,32}$/

export type TopicKind = 'birth' | 'death' | 'call' | 'up' | 'reply' | 'evt' | 'down' | 'site'

/** Every topic of the protocol: who publishes it, its pattern, its quality of service and whether it is retained. */
export const topicTable = [
  {
    kind: 'site',
    by: 'gateway',
    pattern: 'v1/{site}/site',
    qos: 1,
    retain: true,
    what: 'what the site is: its keys and boot id, signed',
  },
  {
    kind: 'birth',
    by: 'device',
    pattern: 'v1/{site}/d/{device}/birth',
    qos: 1,
    retain: true,
    what: 'a device came up: signed, with a fresh key share',
  },
  {
    kind: 'death',
    by: 'device',
    pattern: 'v1/{site}/d/{device}/death',
    qos: 1,
    retain: true,
    what: 'a device left: will or farewell',
  },
  {
    kind: 'call',
    by: 'device',
    pattern: 'v1/{site}/d/{device}/call/{op}',
    qos: 1,
    retain: false,
    what: 'a call or an act',
  },
  {
    kind: 'up',
    by: 'device',
    pattern: 'v1/{site}/d/{device}/up/{xfer}/{index}',
    qos: 1,
    retain: false,
    what: 'a block from a device',
  },
  {
    kind: 'reply',
    by: 'gateway',
    pattern: 'v1/{site}/d/{device}/reply',
    qos: 1,
    retain: false,
    what: 'the answer to a call or an act',
  },
  {
    kind: 'evt',
    by: 'gateway',
    pattern: 'v1/{site}/d/{device}/evt/{kind}',
    qos: 1,
    retain: false,
    what: 'an event for a device',
  },
  {
    kind: 'down',
    by: 'gateway',
    pattern: 'v1/{site}/d/{device}/down/{xfer}/{index}',
    qos: 1,
    retain: false,
    what: 'a block for a device',
  },
] as const

export interface Topic {
  kind: TopicKind
  site: string
  /** Absent on `site`. */
  device?: string
  /** The operation of a call, the kind of an event, the transfer of a block. */
  name?: string
  index?: number
}

export function siteTopic(site: string): string {
  return `v1/${site}/site`
}

/** A topic of one device. `name` and `index` as the table asks. */
export function deviceTopic(
  site: string,
  device: string,
  kind: Exclude<TopicKind, 'site'>,
  name?: string,
  index?: number,
): string {
  const base = `v1/${site}/d/${device}/${kind}`
  if (name === undefined) return base
  return index === undefined ? `${base}/${name}` : `${base}/${name}/${index}`
}

/** What a device subscribes to: its own replies, events and blocks, and the site. */
export function deviceSubscriptions(site: string, device: string): string[] {
  const base = `v1/${site}/d/${device}`
  return [`${base}/reply`, `${base}/evt/+`, `${base}/down/+/+`, siteTopic(site)]
}

/** What a gateway subscribes to on a broker that is not its own. */
export function gatewaySubscriptions(site: string): string[] {
  const base = `v1/${site}/d/+`
  return [`${base}/birth`, `${base}/death`, `${base}/call/+`, `${base}/up/+/+`]
}

/** Takes a topic apart. @throws {Problem} `message.unauthorised` when it is none of ours */
export function parseTopic(topic: string): Topic {
  const parts = topic.length <= 200 ? topic.split('/') : []
  const [version, site, d, device, kind, name, index] = parts
  if (version === 'v1' && site !== undefined && slugPattern.test(site)) {
    if (parts.length === 3 && d === 'site') return { kind: 'site', site }
    if (d === 'd' && device !== undefined && slugPattern.test(device)) {
      if (parts.length === 5 && (kind === 'birth' || kind === 'death' || kind === 'reply'))
        return { kind, site, device }
      if (parts.length === 6 && (kind === 'call' || kind === 'evt') && name && /^[a-z0-9.-]{1,48}$/.test(name))
        return { kind, site, device, name }
      if (
        parts.length === 7 &&
        (kind === 'up' || kind === 'down') &&
        name &&
        index &&
        /^[0-9a-f]{32}$/.test(name) &&
        /^\d{1,7}$/.test(index)
      )
        return { kind, site, device, name, index: Number(index) }
    }
  }
  throw new Problem('message.unauthorised', 'no such topic')
}

/** Whether a device may publish to a topic: its own, and of a kind that devices publish. */
export function mayPublish(site: string, device: string, topic: string): boolean {
  return matches(topic, site, device, 'device')
}

/** Whether a device may subscribe to a filter: exactly the filters of `deviceSubscriptions`, or narrower ones. */
export function maySubscribe(site: string, device: string, filter: string): boolean {
  if (deviceSubscriptions(site, device).includes(filter)) return true
  if (/[+#]/.test(filter)) return false
  return filter === siteTopic(site) || matches(filter, site, device, 'gateway')
}

function matches(topic: string, site: string, device: string, by: 'device' | 'gateway'): boolean {
  try {
    const parsed = parseTopic(topic)
    return (
      parsed.site === site &&
      parsed.device === device &&
      topicTable.some((row) => row.kind === parsed.kind && row.by === by)
    )
  } catch {
    return false
  }
}
