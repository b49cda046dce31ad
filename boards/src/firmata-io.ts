/** Firmata over a line that we opened ourselves: johnny-five's own choice of serial port is of another generation. */
import bind, { type FirmataIo } from 'firmata-io'
import type { SerialPort } from 'serialport'

export type { FirmataIo }

/** firmata-io asks for a class of transport; it is never constructed, since the line is handed in. */
class NoTransport {}

/** A board greets of its own accord after a reset; one that was not reset is asked after this time. */
const reportVersionTimeout = 50

/** @param port open already */
export function firmataOver(port: SerialPort): FirmataIo {
  const Firmata = bind(NoTransport)
  const io = new Firmata(port, { reportVersionTimeout })
  // It waits for the line to open, which is behind us.
  process.nextTick(() => io.emit('connect'))
  return io
}
