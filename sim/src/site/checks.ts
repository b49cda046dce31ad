/** What a demo found, by requirement id. A check is made from what happened; one that is not ok fails the demo. */
export interface Check {
  id: string
  what: string
  ok: boolean
  figure: string
}

export class Checks {
  readonly list: Check[] = []

  add(id: string, what: string, ok: boolean, figure: string): void {
    this.list.push({ id, what, ok, figure })
  }
}
