/** `azukari-device card …`: issues the card that is built into a device, shows it, changes its PIN, erases it (S14, S15). */
import { writeFileSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { systemClock } from '@azukari/protocol/adapters/clock'
import type { Command, Values } from '@azukari/protocol/adapters/command'
import { text } from '@azukari/protocol/adapters/command-line'
import { systemFiles } from '@azukari/protocol/adapters/files'
import { systemRandom } from '@azukari/protocol/adapters/random'
import { Problem } from '@azukari/protocol/problem'

const place = {
  folder: { type: 'string', what: 'the device’s folder', default: './azukari-device' },
  parts: { type: 'string', what: 'folder of parts that work on folders; else “parts” in the folder' },
  keystore: { type: 'string', what: 'the keystore, as the board’s file names it', default: 'keystore' },
  secret: { type: 'string', what: 'file of the keystore’s secret; else “secret” in it' },
} as const
const locationWhat = 'the member has said that places of pictures may be kept; else they say so at a terminal'
const pin = { type: 'string', what: '4 to 12 digits; better as AZUKARI_PIN than where others see it' } as const

export const cardCommands: Record<string, Command> = {
  'card issue': {
    what: 'Issues the card built into this device, into its keystore, and writes the record that registers its member.',
    options: {
      ...place,
      kind: { type: 'string', what: 'ed25519, p256 or rsa', default: 'ed25519' },
      name: { type: 'string', what: 'the member’s name', required: true },
      level: { type: 'string', what: '0 to 3', default: '1' },
      home: { type: 'string', what: 'home region: ISO 3166-2, such as JP-13', required: true },
      pin: { ...pin, required: true },
      number: { type: 'string', what: 'member number; made up when absent' },
      member: { type: 'string', what: 'the member’s id, 32 hex digits, when there is one already' },
      'provider-key': {
        type: 'string',
        what: 'placement’s public COSE_Key in hex; else that of the site at which the device is enrolled',
      },
      location: { type: 'boolean', what: locationWhat },
      record: { type: 'string', what: 'file of the registration record', default: './card.json' },
    },
    async run(values) {
      const { personalise } = await import('./applet/personalise.ts')
      const { KeptCard } = await import('./applet/kept-card.ts')
      const keystore = await keystoreOf(values, true)
      if (await KeptCard.isIssued(keystore))
        throw new Problem('config.invalid', `${keystore.folder} holds a card already: it is not overwritten`)
      const { memory, puk, record } = personalise(
        {
          kind: text(values, 'kind'),
          name: text(values, 'name'),
          level: text(values, 'level'),
          home: text(values, 'home'),
          pin: text(values, 'pin'),
          location: values['location'] === true,
          providerKey: values['provider-key'] ? text(values, 'provider-key') : await enrolledProvider(values),
          ...(values['number'] ? { number: text(values, 'number') } : {}),
          ...(values['member'] ? { memberId: text(values, 'member') } : {}),
        },
        systemRandom,
      )
      const file = text(values, 'record')
      // First the record: a card that nobody can register would be in the way of the next one.
      writeFileSync(file, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 })
      await KeptCard.install(keystore, memory)
      return {
        json: { keystore: keystore.folder, registration: file, puk, record },
        text: `The card is in ${keystore.folder}.\nRegister its member: azukari-gateway member add ${file}\nPUK, told only now: ${puk}`,
      }
    },
  },

  'card show': {
    what: 'Shows what is on the card built into this device, as a reader sees it.',
    options: place,
    async run(values) {
      const { showCard } = await import('./applet/show.ts')
      const shown = await showCard(await channelOf(values), systemClock, never)
      return { json: shown, text: JSON.stringify(shown, null, 2) }
    },
  },

  'card pin': {
    what: 'Changes the PIN of the card built into this device, or sets a new one with the PUK when it is blocked.',
    options: {
      ...place,
      pin: { ...pin, what: 'the PIN until now; or give --puk' },
      puk: { type: 'string', what: 'the PUK; better as AZUKARI_PUK' },
      'new-pin': { ...pin, required: true },
    },
    async run(values) {
      const { CardClient } = await import('./card.ts')
      const client = await CardClient.open(await channelOf(values), systemClock, never)
      const wanted = text(values, 'new-pin')
      if (values['puk']) await client.unblock(text(values, 'puk'), wanted, never)
      else await client.changePin(text(values, 'pin'), wanted, never)
      return { json: { changed: true }, text: 'The PIN is changed.' }
    },
  },

  'card erase': {
    what: 'Erases the card built into this device, with its keys: what only it could open stays closed.',
    options: {
      ...place,
      serial: { type: 'string', what: 'its serial number, as card show tells it', required: true },
    },
    async run(values) {
      const { KeptCard } = await import('./applet/kept-card.ts')
      const { showCard } = await import('./applet/show.ts')
      const { serial } = await showCard(await channelOf(values), systemClock, never)
      if (serial !== text(values, 'serial')) throw new Problem('config.invalid', `--serial: this card’s is ${serial}`)
      await KeptCard.erase(await keystoreOf(values))
      return { json: { erased: serial }, text: `The card ${serial} is erased.` }
    },
  },
}

const never = new AbortController().signal

/** The keystore, as the board's driver finds it; the card in it belongs to a device that runs. @throws {Problem} `part.busy` */
async function keystoreOf(values: Values, whileRunning = false) {
  const { Keystore } = await import('./keystore.ts')
  const { runningNote } = await import('./main.ts')
  const folder = text(values, 'folder')
  const running = runningNote(folder)
  if (running && !whileRunning)
    throw new Problem('part.busy', `process ${running.pid} works in ${folder}: stop it first`)
  const parts = values['parts'] ? text(values, 'parts') : `${folder}/parts`
  const below = (path: string) => (isAbsolute(path) ? path : `${parts}/${path}`)
  return new Keystore({
    files: systemFiles(),
    random: systemRandom,
    folder: below(text(values, 'keystore')),
    ...(values['secret'] ? { secret: below(text(values, 'secret')) } : {}),
  })
}

async function channelOf(values: Values) {
  const { KeptCard } = await import('./applet/kept-card.ts')
  const card = await KeptCard.load(await keystoreOf(values), systemRandom)
  return {
    kind: 'built-in',
    transmit: (apdu: Uint8Array) => card.transmit(apdu),
    disconnect: async () => undefined,
  } as const
}

async function enrolledProvider(values: Values): Promise<string> {
  const { loadIdentity } = await import('./identity.ts')
  const { consoleLog } = await import('./adapters/console-log.ts')
  const { KeptKeyDirectory } = await import('@azukari/protocol/kept-key-directory')
  const { cardKeyOf, trustIn } = await import('./site-keys.ts')
  const files = systemFiles()
  const folder = text(values, 'folder')
  const path = `${folder}/identity.cose`
  const trust = (await files.stat(path)) ? (await loadIdentity(files, path, systemRandom)).trust : undefined
  if (!trust) throw new Problem('config.invalid', 'the device is not enrolled yet: run it once, or give --provider-key')
  const kept = { files, path: `${folder}/keys.cose`, log: consoleLog('card') }
  const { current } = await KeptKeyDirectory.open(kept, trustIn(trust))
  return Buffer.from(cardKeyOf(current, trust, systemClock.now())).toString('hex')
}
