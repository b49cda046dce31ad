/**
 * Installs what hardware-in-the-loop tests drive: Debian packages that are missing, and says whether this machine lets
 * programs have a network of their own. `--dry-run` only says what it would do.
 */
import { namespaceAdvice, namespacesRefused } from '../sim/src/hil/apart.ts'
import { hilPackages, installPackages, missingPackages } from './debian-packages.ts'

const isDryRun = process.argv.includes('--dry-run')
const missing = missingPackages(hilPackages)
for (const { name, what } of hilPackages)
  console.log(`${missing.some((other) => other.name === name) ? 'missing  ' : 'there    '}${name}: ${what}`)
if (missing.length > 0 && isDryRun) console.log(`would install ${missing.map(({ name }) => name).join(' ')}`)
if (missing.length > 0 && !isDryRun) {
  const refusal = installPackages(missing)
  if (refusal) {
    console.error(`${refusal}; it needs root and Debian 12 or later`)
    process.exit(1)
  }
}
const refused = isDryRun && missing.some(({ name }) => name === 'iproute2') ? undefined : namespacesRefused()
if (refused === undefined) console.log('there    namespaces: programs can have a network of their own')
else if (process.env['AZUKARI_HIL_ALONE'] === '1')
  console.log(`namespaces are refused (${refused}); AZUKARI_HIL_ALONE=1: programs run beside everything else`)
else {
  console.error(`namespaces are refused (${refused}): ${namespaceAdvice}`)
  process.exit(1)
}
