/** Which tests of a run were skipped, and why, read from its TAP. */

export interface Omission {
  title: string
  why: string
}

/** Tests of sample files that lie outside the project: each has a sibling with inputs of the project's own. */
const withoutInputsWords = /\bno (vectors|schemas|photos|shared data)\b/

/** Tests that need more than this machine grants, whatever is installed on it (`sim/src/deployment/hosts.ts`). */
const refusedPattern = /\bnamespaces and overlays are refused\b/

/** What was skipped for lack of a program, apart from what had no sample files to read. */
export function omissionsOf(tap: string): { skipped: Omission[]; refused: Omission[]; withoutInputs: Omission[] } {
  const all = [...tap.matchAll(/^ *(?:not )?ok \d+ - (.*?) # SKIP\b ?(.*)$/gim)].map(([, title, why]) => ({
    title: title!,
    why: why!.replace(/ # time=.*$/, '').trim(),
  }))
  return {
    skipped: all.filter(({ why }) => !withoutInputsWords.test(why) && !refusedPattern.test(why)),
    refused: all.filter(({ why }) => refusedPattern.test(why)),
    withoutInputs: all.filter(({ why }) => withoutInputsWords.test(why)),
  }
}
