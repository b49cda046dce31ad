/** What the catalogue says of one problem. */
export type Retry = 'no' | 'later' | 'after-fix'

/** What a person is told: what is the matter, and what they can do. */
export interface ProblemText {
  readonly title: string
  readonly todo: string
}

export interface CatalogueEntry {
  readonly retry: Retry
  readonly en: ProblemText
  readonly ja: ProblemText
}
