/** The peer of the device runtime: a bare MQTT.js client, connected and idle. `node client-process.ts URL` */
import mqtt from 'mqtt'

const client = mqtt.connect(process.argv[2]!, { protocolVersion: 4 })
client.once('connect', () => process.stdout.write('{"up":true}\n'))
