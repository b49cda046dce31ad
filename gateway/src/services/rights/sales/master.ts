/** The secret from which the key of every sale is derived (R3, R7): itself derived from the service's keystore, never stored. */
import { atRestKeyOf, type ServiceKeys } from '../../../service/service-keys.ts'

/** 32 bytes, as `saleKey` takes them. */
export function salesMaster(keys: ServiceKeys): Uint8Array {
  return atRestKeyOf('rights', keys, 'sale-marks')
}
