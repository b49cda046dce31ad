/** Which peers may ask placement for what settlement needs, by the names in their certificates. */
import { gatewayName } from '../../transport/server.ts'

/** Both centres of settlement, and the gateway, inside which settlement may run. */
export const settlementPeers = ['settlement', 'settlement-backup', gatewayName] as const
