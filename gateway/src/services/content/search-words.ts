/** How titles are searched (C4, C14): without regard to case and to the width of characters. */

/** What is kept of a title for the search. */
export function searchText(title: string): string {
  return title.normalize('NFKC').toLowerCase().trim()
}

/** Words that are looked for; more than this many are not. */
export const wordsMax = 4

/** Patterns for LIKE with `\` as its escape: always `wordsMax`, those without a word fit everything. */
export function patternsOf(words: string | undefined): string[] {
  const wanted = searchText(words ?? '')
    .split(/\s+/)
    .filter((word) => word !== '')
    .slice(0, wordsMax)
  while (wanted.length < wordsMax) wanted.push('')
  return wanted.map((word) => `%${word.replace(/[\\%_]/g, (special) => `\\${special}`)}%`)
}
