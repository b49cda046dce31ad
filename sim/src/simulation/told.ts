/** What people were told about the care for their data (S11, S12), held against what the audits have found. */
import { defaultImpostorRules } from '@azukari/gateway/services/placement/audit/impostors'
import { hex } from '@azukari/protocol/bytes'
import { findingText } from '@azukari/protocol/finding-text'
import type { VerdictKind } from '@azukari/protocol/verdict'
import type { Person } from './people.ts'
import type { Site } from './site.ts'

/** A verdict that concerns a member, and whether placement takes it for told. */
interface Concern {
  id: number
  kind: VerdictKind
  server: string
  name: string | null
  told: number | null
}

export class Told {
  readonly #site: Site
  /** What stood on displays while a person's card was in, by member in hex. */
  readonly #seen = new Map<string, Set<string>>()

  constructor(site: Site) {
    this.#site = site
  }

  /** Something is shown to a person. */
  see({ memberId }: Person, lines: readonly string[]): void {
    const member = hex(memberId)
    const seen = this.#seen.get(member) ?? new Set()
    this.#seen.set(member, seen)
    for (const line of lines) seen.add(line)
  }

  /** How much a person has not been told yet. */
  async untold({ memberId }: Person): Promise<number> {
    return (await this.#concerns(memberId)).filter(({ told }) => told === null).length
  }

  /** I9: whatever happened to a member's data was told to them, and nothing is taken for told that nobody saw. */
  async check(): Promise<void> {
    const { world, people } = this.#site
    for (const person of people) {
      if (person.stranger) continue
      const seen = [...(this.#seen.get(hex(person.memberId)) ?? [])]
      for (const { id, kind, server, name, told } of await this.#concerns(person.memberId)) {
        const text = beginning(kind, server, name)
        const isSeen = seen.some((line) => line.startsWith(text))
        if (told === null) world.violate('I9', `${person.name} was never told verdict ${id}: ${text}`)
        else if (!isSeen)
          world.violate('I9', `verdict ${id} is taken for told, and ${person.name} saw nothing: ${text}`)
      }
    }
  }

  /** Changes that nobody ordered, to what is theirs; and servers of theirs that were played by others again and again. */
  async #concerns(member: Uint8Array): Promise<Concern[]> {
    const sql = this.#site.placementSql
    const about = await sql.all<Concern>(
      `SELECT v.id, v.kind, v.server, s.name, t.at AS told FROM verdicts AS v
       JOIN saves AS s ON s.object = v.object AND s.version = v.version
       LEFT JOIN told AS t ON t.verdict = v.id AND t.member = s.member
       WHERE s.member = ? AND v.kind IN ('tampering', 'unexplained', 'rollback') ORDER BY v.id`,
      member,
    )
    const impostors = await sql.all<Concern>(
      `SELECT v.id, v.kind, v.server, NULL AS name, t.at AS told FROM verdicts AS v
       LEFT JOIN told AS t ON t.verdict = v.id AND t.member = ?1
       WHERE v.kind = 'impostor' AND v.object IS NULL AND EXISTS (
         SELECT 1 FROM replicas AS r JOIN saves AS s ON s.object = r.object AND s.version = r.version
         WHERE s.member = ?1 AND r.server = v.server) ORDER BY v.id`,
      member,
    )
    const met = new Map<string, number>()
    const often = impostors.filter(({ server }) => {
      const times = (met.get(server) ?? 0) + 1
      met.set(server, times)
      return times >= defaultImpostorRules.told
    })
    return [...about, ...often]
  }
}

/** How the sentence about a verdict begins, whatever it goes on to say. */
function beginning(kind: VerdictKind, server: string, name: string | null): string {
  const finding = { id: 0, kind, atMs: 0, server, ...(name !== null && { name }), ranges: [], differs: 0 }
  const text = findingText({ ...finding, restored: true }, 'en')
  return text.slice(0, text.lastIndexOf('. '))
}
