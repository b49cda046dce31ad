/** Operators' commands about jobs (W1, W2, W5), each a contract. */

import { UsageError } from '@azukari/protocol/adapters/command-line'
import { hex } from '@azukari/protocol/bytes'
import type { ReplyOf } from '@azukari/protocol/contract'
import {
  cancelJob,
  fetchJob,
  invoiceJob,
  type JobShown,
  listJobs,
  listUnits,
  showJob,
  submitJob,
  type UnitShown,
  type WorkInvoice,
} from '@azukari/protocol/contracts/work-operators'
import { commandName, serviceContractCommand } from '../../../operator-api/contract-command.ts'
import { idOf, type WorkCommands, type WorkOpen } from './context.ts'

const mebibyte = 2 ** 20
const hourMs = 3_600_000
/** How often a job that is followed is looked at, ms. */
const followMs = 1_000
const listMax = 1_000

export const jobCommands: WorkCommands = {
  [commandName(submitJob)]: serviceContractCommand(
    submitJob,
    { positionals: ['module'], filesIn: ['module', 'input'] },
    async ({ service }: WorkOpen, given, act) => {
      if (given.strict && given.economical) throw new UsageError('a job is strict or economical')
      const job = await service.jobs.submit({
        module: act.file('module').bytes,
        inputs: act.files('input').map(({ bytes }) => bytes),
        split: { lines: given['split-lines'], bytes: given['split-bytes'] },
        name: given.name,
        customer: given.customer,
        member: given.member,
        mode: given.economical ? 'economical' : 'strict',
        merge: given.merge === 'list' ? 'list' : 'concat',
        ceilingMinor: given['price-ceiling'],
        lifeMs: (given.hours ?? 24) * hourMs,
        fuel: given.fuel ?? 1_000_000_000,
        memoryMaxBytes: (given.memory ?? 64) * mebibyte,
        wallMs: (given.seconds ?? 600) * 1_000,
        by: act.operator,
      })
      const id = hex(job.id)
      return {
        reply: {
          job: id,
          units: job.units,
          module: hex(job.module),
          priceMinorPerGigafuel: job.price,
          currency: job.currency,
        },
        text: `${id}\n${job.units} units, ${job.mode}; ${job.price} ${job.currency} for 10⁹ of fuel, at most ${job.ceiling}; until ${instant(job.deadline_ms)}`,
      }
    },
  ),

  [commandName(listJobs)]: serviceContractCommand(listJobs, {}, async ({ service }: WorkOpen) => {
    const reply = await service.jobs.list(listMax)
    return { reply, text: reply.map((job) => `${job.job}  ${lineOf(job)}`).join('\n') || 'none' }
  }),

  [commandName(showJob)]: serviceContractCommand(
    showJob,
    { positionals: ['job'] },
    async ({ service, ports }: WorkOpen, { job, follow = false }, act) => {
      let reply = await service.jobs.show(idOf(job))
      for (let told = ''; follow && reply.state === 'running' && !act.signal.aborted; ) {
        const line = progressOf(reply)
        if (line !== told) act.tell(line)
        told = line
        await ports.clock.sleep(followMs, act.signal).catch(() => undefined)
        reply = await service.jobs.show(idOf(job))
      }
      return { reply, text: textOf(reply) }
    },
  ),

  [commandName(cancelJob)]: serviceContractCommand(
    cancelJob,
    { positionals: ['job'] },
    async ({ service }: WorkOpen, { job }) => {
      const reply = await service.jobs.cancel(idOf(job))
      return { reply, text: lineOf(reply) }
    },
  ),

  [commandName(fetchJob)]: serviceContractCommand(
    fetchJob,
    { positionals: ['job'], filesOut: ['out'] },
    async ({ service }: WorkOpen, { job, out, partial = false, unit }, act) => {
      const { bytes, sha256, units } = await service.jobs.fetch(idOf(job), { unit, isPartial: partial })
      await act.give({ option: 'out', bytes })
      const reply = { job, sizeBytes: bytes.length, sha256: hex(sha256), units }
      return { reply, text: `${out}: ${bytes.length} bytes of ${units} units, SHA-256 ${reply.sha256}` }
    },
  ),

  [commandName(invoiceJob)]: serviceContractCommand(
    invoiceJob,
    { positionals: ['job'], filesOut: ['out'] },
    async ({ service }: WorkOpen, { job, out }, act) => {
      const { invoice, document, booking } = await service.jobs.invoice(idOf(job))
      if (out !== undefined) await act.give({ option: 'out', bytes: document })
      const reply: ReplyOf<typeof invoiceJob> = { ...invoice }
      if (booking) reply.booking = { state: booking.state }
      if (reply.booking && booking?.problem) reply.booking.problem = booking.problem
      return { reply, text: `${invoiceText(invoice)}\n${bookingText(reply)}` }
    },
  ),

  [commandName(listUnits)]: serviceContractCommand(
    listUnits,
    { positionals: ['job'] },
    async ({ service }: WorkOpen, { job }) => {
      const reply = await service.jobs.units(idOf(job))
      return { reply, text: reply.flatMap(unitLines).join('\n') }
    },
  ),
}

const instant = (ms: number) => new Date(ms).toISOString()

function lineOf({ name, customer, state, valid, units, failed, costMinor, currency }: JobShown): string {
  const faults = failed > 0 ? `, ${failed} failed` : ''
  return `${state}  ${valid} of ${units} units${faults}, ${costMinor} ${currency}  ${name} (${customer})`
}

function progressOf({ valid, units, computing, costMinor, currency }: JobShown): string {
  const width = 24
  const full = Math.round((width * valid) / units)
  return `[${'#'.repeat(full)}${'-'.repeat(width - full)}] ${valid} of ${units} valid, ${computing} computing, ${costMinor} ${currency}`
}

function textOf(job: JobShown): string {
  const lines = [
    lineOf(job),
    `${progressOf(job)} of at most ${job.ceilingMinor}`,
    `${job.mode}, merged as ${job.merge}; fuel ${job.fuel}; module ${job.module}`,
    `submitted ${instant(job.submittedMs)}, deadline ${instant(job.deadlineMs)}`,
  ]
  if (job.endedMs !== undefined) lines.push(`ended ${instant(job.endedMs)}`)
  return lines.join('\n')
}

function invoiceText(invoice: WorkInvoice): string {
  const { name, customer, lines, fuel, priceMinorPerGigafuel: price, dueMinor, ceilingMinor, currency } = invoice
  return [
    `${customer}: ${name}, job ${invoice.job}${invoice.isFinal ? '' : '; it still runs'}`,
    ...lines.map(
      (line) => `  unit ${line.unit}  ${line.owner}/${line.device}  fuel ${line.fuel}  receipt ${line.receipt}`,
    ),
    `fuel ${fuel} × ${price} ÷ 10⁹, at most ${ceilingMinor}: ${dueMinor} ${currency}`,
  ].join('\n')
}

function bookingText({ member, booking, isFinal, dueMinor }: ReplyOf<typeof invoiceJob>): string {
  if (member === undefined) return 'not booked: the job names no member of settlement (work submit --member)'
  if (!isFinal) return `booked to member ${member} when the job has ended`
  if (!booking) return dueMinor === 0 ? 'nothing to book' : 'not booked'
  if (booking.state === 'booked') return `booked from the stored value of member ${member}`
  return `waits for member ${member}${booking.problem === undefined ? '' : ` (${booking.problem})`}; it is tried again every minute`
}

function unitLines({ unit, state, inputBytes, problem, copies }: UnitShown): string[] {
  const why = problem === undefined ? '' : ` (${problem})`
  return [
    `unit ${unit}: ${state}${why}, input of ${inputBytes} bytes`,
    ...copies.map((copy) => {
      const fuel = copy.fuel === undefined ? '' : `, fuel ${copy.fuel} = ${copy.microPoints / 1e6} points`
      return `  ${copy.attempt}  ${copy.owner}/${copy.device}  ${copy.state}${fuel}`
    }),
  ]
}
