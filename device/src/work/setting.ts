/**
 * What the owner of a board says about work on it: `work.json` in the device's folder, written by `azukari-device work …` and
 * read by the running board. Without the file, or without a code, the board takes no part (W3, W8).
 */
import { checker, type Static, Type } from '@azukari/protocol/contract'
import { OwnerCode } from '@azukari/protocol/contracts/work'
import type { Files } from '@azukari/protocol/ports'
import { isProblem } from '@azukari/protocol/problem'

const Minute = Type.Integer({ minimum: 0, maximum: 1_439 })

export const WorkSetting = Type.Object({
  /** Of the owner; absent when the board takes no part. */
  code: Type.Optional(OwnerCode),
  isPaused: Type.Boolean(),
  /** Between which minutes of the day it computes; always when absent. */
  hours: Type.Optional(Type.Object({ fromMinute: Minute, toMinute: Minute })),
  isOnBatteryToo: Type.Optional(Type.Boolean()),
  /** At which temperature it rests, °C. */
  restFromC: Type.Optional(Type.Integer({ minimum: 30, maximum: 120 })),
})
export type WorkSetting = Static<typeof WorkSetting>

export const noPart: WorkSetting = { isPaused: false }
const check = checker(WorkSetting, 'work.json')

export const settingPath = (folder: string): string => `${folder}/work.json`

/** @throws {Problem} `message.invalid` for a file that is none of ours */
export function parseSetting(bytes: Uint8Array): WorkSetting {
  return check(JSON.parse(new TextDecoder().decode(bytes)))
}

/** @throws {Problem} `storage.*`, `message.invalid` */
export async function readSetting(files: Files, folder: string): Promise<WorkSetting> {
  try {
    const file = await files.open(settingPath(folder), 'read')
    try {
      return parseSetting(await file.read(0, await file.size()))
    } finally {
      await file.close()
    }
  } catch (error) {
    if (isProblem(error, 'object.unknown')) return noPart
    throw error
  }
}
