/**
 * Removable memory on real mounts (S17): what `on-mounts.ts` does, in a mount namespace of its own, so that nothing that it
 * mounts is ever seen by, or left to, the rest of the machine.
 */
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { namespaceAdvice, namespacesRefused } from './apart.ts'

const refused = namespacesRefused()
if (refused !== undefined) t.fail(`S17: memory is mounted in a namespace of its own (${refused}): ${namespaceAdvice}`)
else
  await t.spawn(
    'unshare',
    [
      '--mount',
      '--propagation',
      'private',
      process.execPath,
      '--import',
      'tap',
      fileURLToPath(new URL('./on-mounts.ts', import.meta.url)),
    ],
    { timeout: 240_000 },
    'S17: removable memory on real mounts',
  )
