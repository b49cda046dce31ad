/** When what the network has brought so far has been taken in: the moment to commit it all at once. */
export const systemDefer = (work: () => void): void => void setImmediate(work)
