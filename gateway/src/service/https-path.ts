/** Paths of contracts at the HTTPS listener: `{field}` stands for a field of the request. */
import { InternalError } from '@azukari/protocol/problem'

/** What may stand for a field: nothing that must be escaped, so that one path is one text. */
const value = '[A-Za-z0-9._~-]{1,128}'

/** The fields that stand in a path; undefined when it is another one's. */
export function matchPath(template: string, path: string): Record<string, string> | undefined {
  const pattern = template.replace(/[.]/g, '\\.').replace(/\{(\w+)\}/g, (_, name) => `(?<${name}>${value})`)
  const found = new RegExp(`^${pattern}$`).exec(path)
  return found ? { ...found.groups } : undefined
}

/** @throws {InternalError} for a field that is missing or would have to be escaped */
export function fillPath(template: string, fields: Readonly<Record<string, string>>): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => {
    const given = fields[name]
    if (given === undefined || !new RegExp(`^${value}$`).test(given)) throw new InternalError(`${template}: ${name}`)
    return given
  })
}
