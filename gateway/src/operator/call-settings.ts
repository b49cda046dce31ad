/** The gateway’s settings of a call. */
import { existsSync, readFileSync } from 'node:fs'
import type { Values } from '@azukari/protocol/adapters/command'
import { text } from '@azukari/protocol/adapters/command-line'
import { Problem } from '@azukari/protocol/problem'
import { type GatewayConfig, loadConfig } from '../config.ts'

/** The settings of a call: flags, environment, then the folder's gateway.json. @throws {Problem} `config.invalid` */
export function configOf(values: Values): GatewayConfig {
  const path = `${text(values, 'folder')}/gateway.json`
  let file: unknown
  try {
    file = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined
  } catch (cause) {
    throw new Problem('config.invalid', `${path}: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
  return loadConfig(file, values)
}
