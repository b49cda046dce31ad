/**
 * Makes a folder that `azukari-gateway release pack --program gateway` can sign (D6): the whole gateway as one script, what
 * its threads run beside it, the package.json that its version stands in, and as the packages that they are the font of
 * pages and sharp with what it needs on this kind of machine (elsewhere pictures are not drawn, and all else works).
 *
 *   npm run bundle:gateway -- OUT [VERSION]
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'

const fontPackage = '@expo-google-fonts/biz-udgothic'
const fontFile = '400Regular/BIZUDGothic_400Regular.ttf'
/** Native, so it stays apart from the script; it is loaded when a picture is drawn. */
const native = ['sharp', 'detect-libc', 'semver', '@img/colour']
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
    entryPoints: [
      'src/cli.ts',
      // Threads stand beside the program.
      'src/adapters/check-worker.ts',
      'src/services/settlement/commands/audit-worker.ts',
    ].map((path) => join(gateway, path)),
    entryNames: '[name]',
    outdir: join(out, 'src'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    // Packages that still ask with require().
    banner: {
      js: "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);",
    },
    external: ['sharp'],
    logLevel: 'warning',
    plugins,
  })
  const font = dirname(fileURLToPath(import.meta.resolve(`${fontPackage}/package.json`)))
  for (const file of ['package.json', 'LICENSE_FONT', fontFile])
    cpSync(join(font, file), join(out, 'node_modules', fontPackage, file), { recursive: true })
  const modules = resolve(gateway, '../node_modules')
  const platform = readdirSync(join(modules, '@img')).filter((name) => name.startsWith('sharp-'))
  for (const name of [...native, ...platform.map((name) => `@img/${name}`)])
    cpSync(join(modules, name), join(out, 'node_modules', name), { recursive: true })
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
