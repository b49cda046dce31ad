/** `azukari-sim card issue` and `card show`: personalises virtual cards and reads what is on one (S15). */
import { type CardRecord, type PersonaliseArgs, personalise } from '@azukari/device/applet/personalise'
import { showCard } from '@azukari/device/applet/show'
import type { Clock, Files, Random } from '@azukari/protocol/ports'
import { Problem } from '@azukari/protocol/problem'
import { VirtualCard } from '../../testkit/card/virtual-card.ts'

export interface CardIssueArgs extends PersonaliseArgs {
  /** The card image; it holds private keys, so it is readable by its owner alone. */
  out: string
}

export interface CardPorts {
  files: Files
  random: Random
  clock: Clock
}

/**
 * Issues a card into a file. The PUK is in the answer only here.
 * @throws {Problem} `config.invalid` for arguments that do not fit, `storage.*`
 */
export async function cardIssue(
  args: CardIssueArgs,
  { files, random }: CardPorts,
): Promise<{ file: string; puk: string; record: CardRecord }> {
  if (await files.stat(args.out))
    throw new Problem('config.invalid', `${args.out} is there already: a card is not overwritten`)
  const { memory, puk, record } = personalise(args, random)
  await saveCard(files, args.out, memory)
  return { file: args.out, puk, record }
}

/** What is on a card, as a reader sees it; no secrets. */
export async function cardShow(file: string, ports: CardPorts) {
  const card = await loadCard(ports.files, file, ports.random)
  card.reset()
  const channel = {
    kind: 'built-in',
    transmit: async (apdu: Uint8Array) => card.transmit(apdu),
    disconnect: async () => card.reset(),
  } as const
  return showCard(channel, ports.clock, new AbortController().signal)
}

/** Writes a card image beside and renames it, so that a card is never half saved. */
async function saveCard(files: Files, path: string, card: { save(): Uint8Array }): Promise<void> {
  const beside = `${path}.new`
  const handle = await files.open(beside, 'create')
  try {
    await handle.truncate(0)
    await handle.write(0, card.save())
    await handle.sync()
  } finally {
    await handle.close()
  }
  await files.rename(beside, path)
}

/** @throws {Problem} `object.unknown`, `cbor.*`, `message.invalid` */
export async function loadCard(files: Files, path: string, random: Random): Promise<VirtualCard> {
  const handle = await files.open(path, 'read')
  try {
    return VirtualCard.load(await handle.read(0, await handle.size()), random)
  } finally {
    await handle.close()
  }
}
