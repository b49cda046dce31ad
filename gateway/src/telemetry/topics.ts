/**
 * Topics on which the gateway tells others of the site (D3: formats other than CBOR are published by the gateway alone).
 * They stand beside `v1/…`, which is for devices, so that the rules of the one never open the other.
 */
import { Problem } from '@azukari/protocol/problem'

/** Where Home Assistant looks unless told otherwise. */
export const discoveryPrefix = 'homeassistant'

/** First level of a discovery prefix: none that is ours or a broker's. */
const prefixPattern = /^(?!v1$|azukari$)[A-Za-z0-9_-]{1,32}$/

/** Longest filter of a reader, in characters. */
const maxFilter = 200

export interface TelemetryTopics {
  /** `online` or `offline`, retained. */
  gatewayOnline: string
  siteState: string
  deviceState: (device: string) => string
  /** Where Home Assistant looks for a device. */
  discovery: (device?: string) => string
  senml: (format: 'json' | 'cbor', device?: string) => string
}

/** @throws {Problem} `config.invalid` for a prefix that cannot be used */
export function telemetryTopics(site: string, prefix: string): TelemetryTopics {
  if (!prefixPattern.test(prefix)) throw new Problem('config.invalid', `${prefix} cannot be a discovery prefix`)
  const base = `azukari/${site}`
  return {
    gatewayOnline: `${base}/gateway/online`,
    siteState: `${base}/gateway/state`,
    deviceState: (device) => `${base}/device/${device}/state`,
    discovery: (device) => `${prefix}/device/${objectId(site, device)}/config`,
    senml: (format, device) => `${base}/${device === undefined ? 'gateway' : `device/${device}`}/senml/${format}`,
  }
}

/** The id of the site, or of a device of it, for Home Assistant: `[a-zA-Z0-9_-]`. */
export function objectId(site: string, device?: string): string {
  return device === undefined ? `azukari_${site}` : `azukari_${site}_${device}`
}

/** What a reader may subscribe to: the site's telemetry and the discovery prefix, or parts of them. */
export function mayRead(site: string, prefix: string, filter: string): boolean {
  return filter.length <= maxFilter && (filter.startsWith(`azukari/${site}/`) || filter.startsWith(`${prefix}/`))
}

/** Where Home Assistant itself says that it came up or went: readers may publish there; it reaches nobody. */
export function statusTopic(prefix: string): string {
  return `${prefix}/status`
}
