/** What an operator may be allowed to do: one of `role-list.ts`; a test looks at every command. */
export type Role = string
