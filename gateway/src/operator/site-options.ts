/** Options that nearly every command of a site has. */

export const folder = { type: 'string', what: 'the site’s folder', default: './azukari-data' } as const
export const site = { type: 'string', what: 'the site’s name: a–z, digits, hyphens', default: 'site' } as const
