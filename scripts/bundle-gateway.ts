/**
 * Makes a folder that `azukari-gateway release pack --program gateway` can sign (D6): the whole gateway as one script, with
 * the package.json that its version stands in.
 *
 *   npm run bundle:gateway -- OUT [VERSION]
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { build, type Plugin } from 'esbuild'

const gateway = resolve(import.meta.dirname, '../gateway')

/** @param plugins change what is bundled, for trials */
export async function bundleGateway(out: string, version?: string, plugins: Plugin[] = []): Promise<void> {
  const manifest = JSON.parse(readFileSync(join(gateway, 'package.json'), 'utf8'))
  mkdirSync(join(out, 'src'), { recursive: true })
  writeFileSync(
    join(out, 'package.json'),
    `${JSON.stringify({ name: manifest.name, version: version ?? manifest.version, type: 'module' }, null, 2)}\n`,
  )
  await build({
    entryPoints: [join(gateway, 'src/cli.ts')],
    outfile: join(out, 'src/cli.js'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    // Packages that still ask with require().
    banner: {
      js: "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);",
    },
    logLevel: 'warning',
    plugins,
  })
}

if (import.meta.main) {
  const [out, version] = process.argv.slice(2)
  if (!out) {
    console.error('npm run bundle:gateway -- OUT [VERSION]')
    process.exit(2)
  }
  await bundleGateway(resolve(out), version)
  console.log(out)
}
