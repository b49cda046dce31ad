export type { DataServerPort } from './port.ts'
