/** A folder as local input: a scanner's drop folder, or one that a PC shares (S14). */
import { type InputFile, type LocalInput, partProblem } from '@azukari/device/drivers'
import type { Clock, Files } from '@azukari/protocol/ports'
import { FolderIntake, type FoundFile } from './folder-intake.ts'

export interface FolderInputOptions {
  files: Files
  clock: Clock
  directory: string
  model?: string
  lookMs?: number
}

/** By the name's ending; what is unknown is kept as bytes (S14: any kind of data). */
const mediaTypes: Readonly<Record<string, string>> = {
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  png: 'image/png',
  tif: 'image/tiff',
  tiff: 'image/tiff',
  heic: 'image/heic',
  pdf: 'application/pdf',
  txt: 'text/plain',
  mp3: 'audio/mpeg',
  m4a: 'audio/mp4',
  wav: 'audio/wav',
  flac: 'audio/flac',
  mp4: 'video/mp4',
  mov: 'video/quicktime',
  webm: 'video/webm',
}

export function mediaTypeOf(name: string): string {
  return mediaTypes[name.slice(name.lastIndexOf('.') + 1).toLowerCase()] ?? 'application/octet-stream'
}

export class FolderInput implements LocalInput {
  readonly model: string
  readonly #intake: FolderIntake
  readonly #closing = new AbortController()

  constructor(options: FolderInputOptions) {
    this.model = options.model ?? 'folder'
    this.#intake = new FolderIntake(options)
  }

  async *files(signal: AbortSignal): AsyncGenerator<InputFile> {
    const given = new Set<string>()
    const until = AbortSignal.any([signal, this.#closing.signal])
    while (!until.aborted) {
      if (!(await this.#intake.present())) throw partProblem('input', 'absent', 'the folder is not there')
      let file: FoundFile
      try {
        file = await this.#intake.next(until, (name) => !given.has(name))
      } catch (error) {
        if (until.aborted) return
        throw error
      }
      given.add(file.name)
      yield {
        name: file.name,
        mediaType: mediaTypeOf(file.name),
        sizeBytes: file.sizeBytes,
        read: (at, length) => this.#intake.read(file, at, length),
        done: async () => {
          if (!given.delete(file.name)) return
          await this.#intake.take(file)
        },
      }
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
  }
}
