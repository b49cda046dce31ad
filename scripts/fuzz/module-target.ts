/** Modules of strangers: what the inspector of units of work accepts, and what it makes of them (W4). */
import { instrument } from '@azukari/protocol/work/instrument'
import { type FuzzTarget, holds } from './target.ts'

/** The engine, of which this repository's types know nothing. */
interface Engine {
  validate(bytes: Uint8Array): boolean
}
const engine = (globalThis as unknown as { WebAssembly: Engine }).WebAssembly

/** Of 32 bits: what a memory can be at most. */
const memoryMaxBytes = 2 ** 32
/** An instruction becomes a few: the charge of a straight run, and what makes a NaN canonical. */
const growthMax = 24
const sectionsBytes = 1_024

/**
 * Assembled before, since a campaign's threads may end at any moment: an empty `run`; a loop that calls; globals, a table, data, bulk memory, floats,
 * branches by table and a grown memory.
 */
const corpus = [
  'AGFzbQEAAAABFARgAAF/YAN/f38Bf2ACf38AYAAAAoEBBgdhenVrYXJpCmlucHV0X3NpemUAAAdhenVrYXJpCmlucHV0X3JlYWQAAQdhenVrYXJpCnN0YXRlX3NpemUAAAdhenVrYXJpCnN0YXRlX3JlYWQAAQdhenVrYXJpDG91dHB1dF93cml0ZQACB2F6dWthcmkKY2hlY2twb2ludAACAwIBAwUEAQEBBAcHAQNydW4ABgoEAQIACw==',
  'AGFzbQEAAAABGgVgAAF/YAN/f38Bf2ACf38AYAJ/fwF/YAAAAoEBBgdhenVrYXJpCmlucHV0X3NpemUAAAdhenVrYXJpCmlucHV0X3JlYWQAAQdhenVrYXJpCnN0YXRlX3NpemUAAAdhenVrYXJpCnN0YXRlX3JlYWQAAQdhenVrYXJpDG91dHB1dF93cml0ZQACB2F6dWthcmkKY2hlY2twb2ludAACAwMCAwQFBAEBAQQHBwEDcnVuAAcKJgIHACAAIAFqCxwBAX8DQCAAQQEQBiEAIAAQAEkNAAtBACAAEAQL',
  'AGFzbQEAAAABGQVgAAF/YAN/f38Bf2ACf38AYAF8AXxgAAACgQEGB2F6dWthcmkKaW5wdXRfc2l6ZQAAB2F6dWthcmkKaW5wdXRfcmVhZAABB2F6dWthcmkKc3RhdGVfc2l6ZQAAB2F6dWthcmkKc3RhdGVfcmVhZAABB2F6dWthcmkMb3V0cHV0X3dyaXRlAAIHYXp1a2FyaQpjaGVja3BvaW50AAIDAwIDBAQFAXABAgIFBAEBAQQGDQF8AUQAAAAAAADwPwsHBwEDcnVuAAcJCAEAQQALAgYHCmACDgAgAEQAAAAAAAAAQKMLTwAjAEEAEQMAJAAjAEQAAAAAAADQP2QEQEEAQQFBwAD8CwAFDwsCQAJAQQgtAAAOAQABCwtBAUAAGkEEQQwqAgCROAIAQRAjAPwGxDcDAAsLEAEAQQgLCnNvbWUgYnl0ZXM=',
].map((text) => new Uint8Array(Buffer.from(text, 'base64')))

export const moduleTarget: FuzzTarget = {
  what: 'modules of units of work in WebAssembly',
  corpus: () => corpus,
  run(bytes) {
    const made = instrument(bytes)
    holds(made.memoryMaxBytes <= memoryMaxBytes, `a memory of ${made.memoryMaxBytes} bytes`)
    holds(
      made.module.length <= bytes.length * growthMax + sectionsBytes,
      `${bytes.length} bytes became ${made.module.length}`,
    )
    // Types are the engine's to check, of the module that was made. What it took before, it takes after.
    const isMadeValid = engine.validate(made.module)
    holds(isMadeValid || !engine.validate(bytes), 'a valid module was broken')
  },
}
