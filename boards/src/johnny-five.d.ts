/** As much of johnny-five and firmata-io as is used here. */
declare module 'johnny-five' {
  import type { EventEmitter } from 'node:events'

  namespace five {
    interface Part {
      board: Board
      pin: number | string
    }
    class Board extends EventEmitter {
      constructor(options: { io: unknown; repl: boolean; debug: boolean; sigint: boolean })
      isReady: boolean
      /** Runs until the board is ready. */
      timer?: NodeJS.Timeout
      static readonly cache: Board[]
    }
    class Button extends EventEmitter {
      constructor(options: Part & { isPullup: boolean })
    }
    class Led {
      constructor(options: Part)
      on(): this
      off(): this
      stop(): this
      blink(ms: number): this
    }
    class Piezo {
      constructor(options: Part)
      frequency(hertz: number, ms: number): this
    }
    class Sensor extends EventEmitter {
      constructor(options: Part & { freq: number })
      readonly value: number | null
      disable(): this
    }
  }
  export default five
}

declare module 'firmata-io' {
  import type { EventEmitter } from 'node:events'

  export interface FirmataIo extends EventEmitter {
    /** Asks for the version; answers come as `reportversion`, too. */
    reportVersion(callback: () => void): void
  }
  /** Binds Firmata to a class of transport; each board then takes an opened one. */
  const bind: (
    transport: new () => unknown,
  ) => new (
    port: unknown,
    options: { reportVersionTimeout: number },
  ) => FirmataIo
  export default bind
}
