/** What ids that appear in topics look like: devices, sites, servers. */
export const slugPattern = '^[a-z0-9-]{1,32}$'
