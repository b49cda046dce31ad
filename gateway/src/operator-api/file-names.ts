/** How the files of a call are named: by their option, and by their place where it is repeated. */

/** Paths that a call names for an option, or for what follows the options when it has no such option. */
export function pathsOf(
  name: string,
  values: Readonly<Record<string, unknown>>,
  positionals: readonly string[],
): string[] {
  const given = Object.hasOwn(values, name) ? values[name] : positionals[0]
  return [given].flat().filter((path) => typeof path === 'string')
}

/** The name under which the bytes of the file travel. @param at its place among those of its option, from 0 */
export function partName(name: string, at: number): string {
  return at === 0 ? name : `${name}.${at}`
}
