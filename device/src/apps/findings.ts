/** What happened to a member's data, as displays show it (S11, S12): one line each. */
import type { Finding } from '@azukari/protocol/contracts/audit'
import { findingText, type Language } from '@azukari/protocol/finding-text'
import type { Shown } from '../drivers.ts'

export function findingsShown(findings: readonly Finding[], language: Language = 'en'): Shown {
  return { lines: findings.map((finding) => findingText(finding, language)), tone: 'problem' }
}
