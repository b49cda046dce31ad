/** The files of the console's page, which lie beside its routes. */
import { readFileSync } from 'node:fs'

const types = {
  html: 'text/html; charset=utf-8',
  css: 'text/css',
  js: 'text/javascript',
  svg: 'image/svg+xml',
} as const
const names = [
  'index.html',
  'console.css',
  'console.js',
  'calls.js',
  'form.js',
  'answer.js',
  'words.js',
  'element.js',
  'mark.svg',
]

export interface PageFile {
  type: string
  bytes: Uint8Array
}

/** By name; undefined for what is no part of the page. */
export function consoleFile(name: string): PageFile | undefined {
  if (!names.includes(name)) return undefined
  const bytes = readFileSync(new URL(`../console/page/${name}`, import.meta.url))
  return { type: types[name.split('.').at(-1) as keyof typeof types], bytes }
}
