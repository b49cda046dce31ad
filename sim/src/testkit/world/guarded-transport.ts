/** A device's line, of which only the living hear. */
import type { MqttTransport } from '@azukari/device/transport'
import type { Life } from './life.ts'

/** The dead neither send nor hear. */
export function guarded(transport: MqttTransport, life: Life): MqttTransport {
  return {
    connect: (options, signal) =>
      life.run(async () => {
        const session = await transport.connect(
          {
            ...options,
            onMessage: (message) => {
              if (life.alive) options.onMessage(message)
            },
          },
          signal,
        )
        return {
          closed: life.run(() => session.closed),
          subscribe: (filters) => life.run(() => session.subscribe(filters)),
          publish: (topic, payload, how) => life.run(() => session.publish(topic, payload, how)),
          close: () => life.run(() => session.close()),
        }
      }),
  }
}
