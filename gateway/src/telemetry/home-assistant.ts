/**
 * MQTT discovery of Home Assistant (https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery): one *device
 * discovery* payload per board and one for the site, each with its components, and the states they read. Pure.
 */
import type { Measure } from '@azukari/protocol/contracts/internal'
import { type DeviceFacts, faultOf, outOfPaper, partsOf, type SiteFacts, type WatchedPart } from './facts.ts'
import { objectId, type TelemetryTopics } from './topics.ts'

export interface Component {
  platform: 'sensor' | 'binary_sensor'
  [option: string]: unknown
}

export interface Discovery {
  device: Record<string, unknown>
  origin: { name: string; sw_version: string }
  availability: { topic: string }[]
  state_topic: string
  qos: 0 | 1
  components: Record<string, Component>
}

/** Figures of services that become components: what a person can look at. */
const maxMeasures = 128

export function siteDiscovery(facts: SiteFacts, topics: TelemetryTopics): Discovery {
  const { site } = facts
  const id = objectId(site)
  const diagnostic = { entity_category: 'diagnostic' }
  const measured = { state_class: 'measurement' }
  const components: Record<string, Component> = {
    devices: { ...sensor(id, 'devices', 'Devices', 'devices'), ...measured },
    devices_up: { ...sensor(id, 'devices_up', 'Devices connected', 'devices_up'), ...measured },
    buffer_full: { ...binary(id, 'buffer_full', 'Receive buffer', 'buffer_full'), device_class: 'problem' },
    buffer: {
      ...sensor(id, 'buffer', 'Receive buffer size', 'buffer_bytes'),
      ...measured,
      ...diagnostic,
      device_class: 'data_size',
      unit_of_measurement: 'B',
    },
    version: { ...sensor(id, 'version', 'Version', 'version'), ...diagnostic },
  }
  for (const { key, label, unit, isFault } of facts.measures.slice(0, maxMeasures)) {
    const path = `measures['${key}']`
    if (isFault) components[key] = { ...binary(id, key, label, path), device_class: 'problem' }
    else {
      components[key] = { ...sensor(id, key, label, path), ...measured }
      if (unit === '/') Object.assign(components[key], { unit_of_measurement: '%', suggested_display_precision: 2 })
    }
  }
  return {
    device: {
      identifiers: [id],
      name: `Azukari ${site}`,
      manufacturer: 'Azukari',
      model: 'Gateway',
      sw_version: facts.version,
    },
    ...shared(facts, topics, topics.siteState),
    components,
  }
}

export function siteState(facts: SiteFacts): Record<string, unknown> {
  return {
    version: facts.version,
    devices: facts.devicesKnown,
    devices_up: facts.devicesUp,
    buffer_full: facts.buffer.full,
    buffer_bytes: facts.buffer.bytes,
    measures: Object.fromEntries(
      facts.measures.slice(0, maxMeasures).map((measure) => [measure.key, stateOf(measure)]),
    ),
  }
}

function stateOf({ unit, value, isFault }: Measure): number | boolean {
  if (isFault) return value > 0
  return unit === '/' ? Number((value * 100).toPrecision(4)) : value
}

const partNames: Record<WatchedPart, string> = { camera: 'Camera', printer: 'Printer', reader: 'Card reader' }

export function deviceDiscovery(site: SiteFacts, device: DeviceFacts, topics: TelemetryTopics): Discovery {
  const id = objectId(site.site, device.id)
  const diagnostic = { entity_category: 'diagnostic' }
  const components: Record<string, Component> = {
    online: { ...binary(id, 'online', 'Connection', 'online'), ...diagnostic, device_class: 'connectivity' },
    last_save: { ...sensor(id, 'last_save', 'Last save', 'last_save'), device_class: 'timestamp' },
    outbox: { ...sensor(id, 'outbox', 'Waiting on the device', 'outbox'), state_class: 'measurement' },
    model: { ...sensor(id, 'model', 'Model', 'model'), ...diagnostic },
    version: { ...sensor(id, 'version', 'Version', 'version'), ...diagnostic },
  }
  for (const part of partsOf(device))
    components[`${part}_fault`] = {
      ...binary(id, `${part}_fault`, partNames[part], `faults.${part}`),
      device_class: 'problem',
    }
  if (partsOf(device).includes('printer'))
    components['paper'] = { ...binary(id, 'paper', 'Paper', 'faults.paper'), device_class: 'problem' }
  return {
    device: {
      identifiers: [id],
      name: `${device.model} ${device.id.slice(0, 6)}`,
      manufacturer: 'Azukari',
      model: device.model,
      sw_version: device.version,
      serial_number: device.id,
      via_device: objectId(site.site),
    },
    ...shared(site, topics, topics.deviceState(device.id)),
    components,
  }
}

export function deviceState(device: DeviceFacts): Record<string, unknown> {
  return {
    online: device.online,
    model: device.model,
    version: device.version,
    region: device.region,
    last_save: device.lastSaveMs === undefined ? null : new Date(device.lastSaveMs).toISOString(),
    outbox: device.report?.outboxRows ?? null,
    faults: {
      ...Object.fromEntries(partsOf(device).map((part) => [part, faultOf(device, part) ?? null])),
      ...(partsOf(device).includes('printer') && { paper: outOfPaper(device) ?? null }),
    },
  }
}

/** The components of a discovery and their platforms, as text to compare and keep. */
export function componentsOf({ components }: Discovery): string {
  return JSON.stringify(Object.fromEntries(Object.entries(components).map(([key, { platform }]) => [key, platform])))
}

/**
 * What must go out when components went: the documentation asks for one payload in which they are left with their
 * platform alone, before the one without them. Undefined when none went.
 * @param before platforms of the components that were told, by key
 */
export function withoutComponents(
  before: Readonly<Record<string, Component['platform']>>,
  now: Discovery,
): Discovery | undefined {
  const gone = Object.entries(before).filter(([key]) => !(key in now.components))
  if (gone.length === 0) return undefined
  const removed = gone.map(([key, platform]) => [key, { platform }] as const)
  return { ...now, components: { ...now.components, ...Object.fromEntries(removed) } }
}

function shared(site: SiteFacts, topics: TelemetryTopics, stateTopic: string) {
  return {
    origin: { name: 'Azukari', sw_version: site.version },
    availability: [{ topic: topics.gatewayOnline }],
    state_topic: stateTopic,
    qos: 1 as const,
  }
}

/** `null` becomes `None`, which Home Assistant shows as unknown. */
function sensor(id: string, key: string, name: string, path: string): Component {
  return { platform: 'sensor', unique_id: `${id}_${key}`, name, value_template: `{{ value_json.${path} }}` }
}

function binary(id: string, key: string, name: string, path: string): Component {
  const value = `value_json.${path}`
  return {
    platform: 'binary_sensor',
    unique_id: `${id}_${key}`,
    name,
    value_template: `{{ 'None' if ${value} is none else 'ON' if ${value} else 'OFF' }}`,
  }
}
