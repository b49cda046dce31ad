/** When what the network has brought so far has been taken in: the moment to commit it all at once. */
export const systemSoon = (work: () => void): void => void setImmediate(work)
