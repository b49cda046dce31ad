/** A command as it goes to the site's own process. */
import type { OperatorCommandHead } from './roles.ts'

/** What is known of a command where it is sent from. */
export interface SentCommand extends Pick<OperatorCommandHead, 'filesIn' | 'filesOut'> {
  /** Its group; looked into only when nothing runs. */
  group: string
  offline?: boolean
}
