/** S7: a data server shows that it holds its key, before a byte is sent to it. */
import type { RandomSource } from '@azukari/protocol/keys'
import type { DataServerPort } from '../../data-server/client.ts'
import type { ServerRow } from './store.ts'
