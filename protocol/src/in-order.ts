/** Array methods whose callbacks are awaited, one after the other: for what reads or writes a store in order. */

export async function mapInOrder<T, R>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<R> | R,
): Promise<R[]> {
  const results: R[] = []
  for (const [index, item] of items.entries()) results.push(await work(item, index))
  return results
}

export async function flatMapInOrder<T, R>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<readonly R[] | R> | readonly R[] | R,
): Promise<R[]> {
  return (await mapInOrder(items, work)).flat() as R[]
}

export async function filterInOrder<T>(
  items: readonly T[],
  test: (item: T) => Promise<boolean> | boolean,
): Promise<T[]> {
  const results: T[] = []
  for (const item of items) if (await test(item)) results.push(item)
  return results
}

export async function findInOrder<T>(
  items: readonly T[],
  test: (item: T) => Promise<boolean> | boolean,
): Promise<T | undefined> {
  for (const item of items) if (await test(item)) return item
  return undefined
}

export async function someInOrder<T>(
  items: readonly T[],
  test: (item: T) => Promise<boolean> | boolean,
): Promise<boolean> {
  for (const item of items) if (await test(item)) return true
  return false
}

export async function everyInOrder<T>(
  items: readonly T[],
  test: (item: T) => Promise<boolean> | boolean,
): Promise<boolean> {
  for (const item of items) if (!(await test(item))) return false
  return true
}
