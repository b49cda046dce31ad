/**
 * The device's database. Every change is one statement, so it is committed or not at all without a transaction that
 * awaits; triggers do what must happen together.
 */
export type DeviceValue = null | number | string | Uint8Array

export interface DeviceDatabase {
  run(sql: string, ...values: DeviceValue[]): Promise<{ changes: number }>
  get<T>(sql: string, ...values: DeviceValue[]): Promise<T | undefined>
  all<T>(sql: string, ...values: DeviceValue[]): Promise<T[]>
  exec(sql: string): Promise<void>
  close(): Promise<void>
}
