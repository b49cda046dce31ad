#!/usr/bin/env node
import { start } from '@azukari/protocol/adapters/start'

await start('azukari-device', import.meta.url)
